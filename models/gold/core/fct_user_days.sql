{# Grain: one row per user and business date on which they were active.
   Keys: user_id, activity_date.
   Incremental: none; rebuilt whole.
   Rules: R2 (who is active), R3 (the active date before), R14 (dimensions at the date's end), R1. #}
with events as (

    select
        event_id,
        event_name,
        user_id,
        platform,
        region,
        country,
        event_date,
        occurred_at
    from {{ ref('fct_events') }}
    where is_active_signal
        and user_id is not null
        and not is_internal

),

user_history as (

    select
        user_id,
        region,
        country,
        plan_code,
        applies_from_date,
        applies_to_date
    from {{ ref('dim_users_history') }}

),

ordered as (

    select
        event_name,
        user_id,
        platform,
        region,
        country,
        row_number() over (
            partition by user_id, event_date order by occurred_at, event_id
        ) as place,
        event_date,
        occurred_at
    from events

),

-- The earliest region an event of the day tells, in one pass: its place leads the text and decides.
days as (

    select
        user_id,
        max(case when place = 1 then platform end) as platform,
        substr(
            min(
                case
                    when region is not null
                        then concat(lpad(cast(place as varchar), 12, '0'), region)
                end
            ),
            13
        ) as event_region,
        substr(
            min(
                case
                    when country is not null
                        then concat(lpad(cast(place as varchar), 12, '0'), country)
                end
            ),
            13
        ) as event_country,
        count(*) as event_count,
        cast(
            sum(case when event_name = 'message_sent' then 1 else 0 end) as bigint
        ) as message_count,
        event_date as activity_date,
        min(occurred_at) as first_active_at,
        max(occurred_at) as last_active_at
    from ordered
    group by
        user_id,
        event_date

),

-- The version that holds at the date's end: a version of the middle of a day applies to no date.
-- The order of each person's dates is found here, once: rolling actives, lifecycle and retention
-- count pairs of dates and sort nothing.
final as (

    select
        days.user_id,
        coalesce(days.platform, 'unknown') as platform,
        coalesce(user_history.region, days.event_region, 'unknown') as region,
        coalesce(user_history.country, days.event_country, 'unknown') as country,
        coalesce(user_history.plan_code, 'unknown') as plan_code,
        days.event_region,
        days.event_country,
        days.event_count,
        days.message_count,
        days.activity_date,
        lag(days.activity_date) over (
            partition by days.user_id order by days.activity_date
        ) as previous_activity_date,
        days.first_active_at,
        days.last_active_at
    from days
    left join user_history
        on days.user_id = user_history.user_id
            and days.activity_date >= user_history.applies_from_date
            and days.activity_date < user_history.applies_to_date

)

select * from final
