{# Grain: one row per business date from the first activity to that of as-of (flagged).
   Keys: activity_date.
   Incremental: none; rebuilt whole by one sweep over the spans of registration.
   Rules: R13 (who is registered), R5 (sign-up date), R2, R1. #}
{%- set latest_first_date = earliest_bound(
    ref('fct_user_days'), 'activity_date', 'date', 'min(activity_date)'
) %}
{%- set growth_days = 28 -%}

with users as (

    select
        user_id,
        signup_date
    from {{ ref('dim_users') }}
    where not is_internal

),

registered as (

    select
        user_id,
        joined_date,
        applies_from_date,
        applies_to_date
    from {{ ref('int_registered_spans') }}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

user_days as (

    select activity_date
    from {{ ref('fct_user_days') }}
    where {{ is_within_bound('activity_date', latest_first_date) }}

),

first_activity as (

    select min(activity_date) as first_date
    from user_days

),

first_spans as (

    select
        user_id,
        max(joined_date) as joined_date
    from registered
    group by user_id

),

-- Whoever signed up and left on the same date was registered at no date's end, and yet did both.
joined as (

    select
        users.user_id,
        coalesce(users.signup_date, first_spans.joined_date) as joined_date
    from users
    left join first_spans
        on users.user_id = first_spans.user_id

),

changes as (

    select
        user_id,
        1 as registered_change,
        applies_from_date as step_date
    from registered

    union all

    select
        user_id,
        -1 as registered_change,
        applies_to_date as step_date
    from registered

),

-- Where one span ends and the next begins nothing happened to the person.
moved as (

    select
        user_id,
        sum(registered_change) as registered_change,
        step_date
    from changes
    group by
        user_id,
        step_date

),

compared as (

    select
        coalesce(moved.registered_change, 0) as registered_change,
        joined.joined_date is not null as is_joining,
        coalesce(moved.step_date, joined.joined_date) as step_date
    from moved
    full outer join joined
        on moved.user_id = joined.user_id
            and moved.step_date = joined.joined_date

),

stepped as (

    select
        sum(registered_change) as registered_change,
        sum(case when is_joining then 1 else 0 end) as signed_up_users,
        sum(
            case when registered_change > 0 and not is_joining then 1 else 0 end
        ) as rejoined_users,
        sum(
            case
                when registered_change < 0 then 1
                when is_joining and registered_change = 0 then 1
                else 0
            end
        ) as left_users,
        step_date
    from compared
    where step_date is not null
    group by step_date

),

registered_before as (

    select coalesce(sum(stepped.registered_change), 0) as registered_users
    from stepped
    inner join first_activity
        on stepped.step_date < first_activity.first_date

),

counted as (

    select
        cast(
            registered_before.registered_users
            + sum(coalesce(stepped.registered_change, 0)) over (
                order by dates.date_day rows between unbounded preceding and current row
            ) as bigint
        ) as registered_users,
        cast(coalesce(stepped.signed_up_users, 0) as bigint) as signed_up_users,
        cast(coalesce(stepped.rejoined_users, 0) as bigint) as rejoined_users,
        cast(coalesce(stepped.left_users, 0) as bigint) as left_users,
        dates.is_complete,
        dates.date_day
    from dates
    inner join first_activity
        on dates.date_day >= first_activity.first_date
    cross join registered_before
    left join stepped
        on dates.date_day = stepped.step_date

),

-- The report has every date, so so many rows back is so many days back.
grown as (

    select
        registered_users,
        signed_up_users,
        rejoined_users,
        left_users,
        lag(registered_users, {{ growth_days }}) over (
            order by date_day
        ) as registered_users_before,
        is_complete,
        date_day
    from counted

),

final as (

    select
        registered_users,
        signed_up_users,
        rejoined_users,
        left_users,
        cast(
            {{ rate('registered_users', 'registered_users_before') }} - 1 as decimal(18, 6)
        ) as growth_28d_rate,
        is_complete,
        date_day as activity_date
    from grown

)

select * from final
