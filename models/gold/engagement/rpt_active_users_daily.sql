{# Grain: one row per business date from the first activity to the date of as-of (flagged).
   Keys: activity_date.
   Incremental: none; rebuilt whole by one sweep over the user-days.
   Rules: R3 (rolling actives, exact), R2, R1. #}
{%- set windows = [1, 7, 28, 30] -%}

with user_days as (

    select
        activity_date,
        previous_activity_date
    from {{ ref('fct_user_days') }}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

-- Few rows, whatever the number of people: nothing is computed for each user-day.
pairs as (

    select
        activity_date,
        previous_activity_date,
        count(*) as user_count
    from user_days
    group by
        activity_date,
        previous_activity_date

),

-- The interval sweep: with an active day d after one on p, the window of N days holds the person
-- anew on [max(d, p + N), d + N). It adds one where that opens and takes one away where it closes;
-- running sums do the rest, so no date is ever joined to the dates before it.
steps as (

    select
        activity_date as step_date,
        {%- for days in windows %}
        0 as change_{{ days }}d,
        {%- endfor %}
        user_count as new_count
    from pairs
    where previous_activity_date is null

    {% for days in windows %}
    union all

    select
        coalesce(
            greatest(activity_date, {{ date_add_days('previous_activity_date', days) }}),
            activity_date
        ) as step_date,
        {%- for other in windows %}
        {{ 'user_count' if other == days else '0' }} as change_{{ other }}d,
        {%- endfor %}
        0 as new_count
    from pairs

    union all

    select
        {{ date_add_days('activity_date', days) }} as step_date,
        {%- for other in windows %}
        {{ '-user_count' if other == days else '0' }} as change_{{ other }}d,
        {%- endfor %}
        0 as new_count
    from pairs
    {% endfor %}
),

stepped as (

    select
        step_date,
        {%- for days in windows %}
        sum(change_{{ days }}d) as change_{{ days }}d,
        {%- endfor %}
        sum(new_count) as new_users
    from steps
    group by step_date

),

-- Steps on dates that the calendar does not hold (an as-of in the past) come after all it holds.
counted as (

    select
        dates.date_day,
        dates.is_complete,
        {%- for days in windows %}
        cast(
            sum(coalesce(stepped.change_{{ days }}d, 0)) over (
                order by dates.date_day rows between unbounded preceding and current row
            ) as bigint
        ) as active_users_{{ days }}d,
        {%- endfor %}
        cast(coalesce(stepped.new_users, 0) as bigint) as new_users
    from dates
    left join stepped
        on dates.date_day = stepped.step_date

),

first_activity as (

    select min(activity_date) as first_date
    from pairs

),

final as (

    select
        {%- for days in windows %}
        counted.active_users_{{ days }}d,
        {%- endfor %}
        counted.new_users,
        {{ rate('counted.active_users_1d', 'counted.active_users_28d') }} as stickiness_rate,
        counted.is_complete,
        counted.date_day as activity_date
    from counted
    inner join first_activity
        on counted.date_day >= first_activity.first_date

)

select * from final
