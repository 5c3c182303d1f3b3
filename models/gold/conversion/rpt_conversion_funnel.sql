{# Grain: one row per funnel, entry date (first event to the date of as-of) and step, with zeros.
   Keys: funnel_name, entry_date, step_number.
   Incremental: none; rebuilt whole from the attempts.
   Rules: R8 (rates, seconds by nearest rank, maturity), R1. #}
with attempts as (

    select
        funnel_name,
        user_key,
        attempt_number,
        entry_date,
        started_at
    from {{ ref('fct_funnel_attempts') }}

),

reached_steps as (

    select
        funnel_name,
        user_key,
        attempt_number,
        step_number,
        reached_at
    from {{ ref('int_funnel_steps') }}

),

funnels as (

    select
        funnel_name,
        cast(step_number as integer) as step_number,
        step_name,
        event_name,
        window_hours
    from {{ ref('funnels') }}

),

dates as (

    select date_day
    from {{ ref('dim_dates') }}

),

calendar as (

    select {{ last_complete_date() }} as last_complete_date

),

entered as (

    select
        funnel_name,
        entry_date,
        count(*) as entered_count
    from attempts
    group by
        funnel_name,
        entry_date

),

timed as (

    select
        attempts.funnel_name,
        attempts.user_key,
        attempts.attempt_number,
        reached_steps.step_number,
        {{ seconds_between('attempts.started_at', 'reached_steps.reached_at') }} as seconds_to_step,
        attempts.entry_date
    from attempts
    inner join reached_steps
        on attempts.funnel_name = reached_steps.funnel_name
            and attempts.user_key = reached_steps.user_key
            and attempts.attempt_number = reached_steps.attempt_number

),

ranked as (

    select
        funnel_name,
        step_number,
        seconds_to_step,
        row_number() over (
            partition by funnel_name, entry_date, step_number
            order by seconds_to_step, user_key, attempt_number
        ) as place,
        count(*) over (partition by funnel_name, entry_date, step_number) as reached_count,
        entry_date
    from timed

),

reached as (

    select
        funnel_name,
        step_number,
        max(reached_count) as reached_count,
        {{ nearest_rank('seconds_to_step', 50, 'place', 'reached_count') }} as median_seconds,
        {{ nearest_rank('seconds_to_step', 90, 'place', 'reached_count') }} as p90_seconds,
        entry_date
    from ranked
    group by
        funnel_name,
        step_number,
        entry_date

),

dense as (

    select
        funnels.funnel_name,
        funnels.step_name,
        funnels.event_name,
        funnels.step_number,
        coalesce(entered.entered_count, 0) as entered_count,
        coalesce(reached.reached_count, 0) as reached_count,
        reached.median_seconds,
        reached.p90_seconds,
        {{ timestamp_add_hours(business_date_end('dates.date_day'), 'funnels.window_hours') }}
        <= {{ business_date_end('calendar.last_complete_date') }} as is_mature,
        dates.date_day as entry_date
    from funnels
    cross join dates
    cross join calendar
    left join entered
        on funnels.funnel_name = entered.funnel_name
            and dates.date_day = entered.entry_date
    left join reached
        on funnels.funnel_name = reached.funnel_name
            and funnels.step_number = reached.step_number
            and dates.date_day = reached.entry_date

),

-- The first step has no step before it: its rate is that of entering, 1 or (nobody entered) NULL.
compared as (

    select
        funnel_name,
        step_name,
        event_name,
        step_number,
        entered_count,
        reached_count,
        coalesce(
            lag(reached_count) over (
                partition by funnel_name, entry_date order by step_number
            ),
            entered_count
        ) as before_count,
        median_seconds,
        p90_seconds,
        is_mature,
        entry_date
    from dense

),

final as (

    select
        funnel_name,
        step_name,
        event_name,
        step_number,
        entered_count,
        reached_count,
        {{ rate('reached_count', 'before_count') }} as step_conversion_rate,
        {{ rate('reached_count', 'entered_count') }} as overall_conversion_rate,
        median_seconds as median_seconds_to_step,
        p90_seconds as p90_seconds_to_step,
        is_mature,
        entry_date
    from compared

)

select * from final
