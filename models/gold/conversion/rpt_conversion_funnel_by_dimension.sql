{# Grain: one row per funnel, entry date (first event to the date of as-of), step, dimension, value.
   Keys: funnel_name, entry_date, step_number, dimension_name, dimension_value.
   Incremental: none; rebuilt whole from the attempts.
   Rules: R8 (rates, maturity), R14 (attempts as at their entry date), R13 (segment), R2. #}
with attempts as (

    select
        funnel_name,
        user_key,
        user_id,
        attempt_number,
        reached_step_number,
        entry_date,
        started_at
    from {{ ref('fct_funnel_attempts') }}

),

funnel_steps as (

    select
        funnel_name,
        step_name,
        event_name,
        step_number,
        is_mature,
        entry_date
    from {{ ref('rpt_conversion_funnel') }}

),

funnels as (

    select
        funnel_name,
        event_name
    from {{ ref('funnels') }}
    where step_number = 1

),

events as (

    select
        event_id,
        event_name,
        user_key,
        platform,
        region,
        country,
        occurred_at
    from {{ ref('fct_events') }}
    where not is_internal

),

user_history as (

    select
        user_id,
        region,
        country,
        acquisition_channel,
        plan_code,
        applies_from_date,
        applies_to_date
    from {{ ref('dim_users_history') }}

),

user_segments as (

    select
        user_id,
        segment,
        applies_from_date,
        applies_to_date
    from {{ ref('int_user_segments') }}

),

-- The event that began the attempt; of several of its name at one instant the least.
begun as (

    select
        attempts.funnel_name,
        attempts.user_key,
        attempts.user_id,
        attempts.attempt_number,
        attempts.reached_step_number,
        events.platform,
        events.region,
        events.country,
        row_number() over (
            partition by attempts.funnel_name, attempts.user_key, attempts.attempt_number
            order by events.event_id
        ) as place,
        attempts.entry_date
    from attempts
    inner join funnels
        on attempts.funnel_name = funnels.funnel_name
    inner join events
        on attempts.user_key = events.user_key
            and attempts.started_at = events.occurred_at
            and funnels.event_name = events.event_name

),

described as (

    select
        begun.funnel_name,
        begun.reached_step_number,
        coalesce(begun.platform, 'unknown') as platform,
        coalesce(user_history.region, begun.region, 'unknown') as region,
        coalesce(user_history.country, begun.country, 'unknown') as country,
        coalesce(user_history.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(user_history.plan_code, 'unknown') as plan_code,
        coalesce(user_segments.segment, 'unknown') as segment,
        begun.entry_date
    from begun
    left join user_history
        on begun.user_id = user_history.user_id
            and begun.entry_date >= user_history.applies_from_date
            and begun.entry_date < user_history.applies_to_date
    left join user_segments
        on begun.user_id = user_segments.user_id
            and begun.entry_date >= user_segments.applies_from_date
            and begun.entry_date < user_segments.applies_to_date
    where begun.place = 1

),

counted as (

    {{ count_by_dimension(
        'described', ['funnel_name', 'reached_step_number', 'entry_date'], 'attempt_count'
    ) }}

),

-- Who reached a step reached all before it.
reached as (

    select
        funnel_steps.funnel_name,
        counted.dimension_name,
        counted.dimension_value,
        funnel_steps.step_number,
        sum(counted.attempt_count) as entered_count,
        sum(
            case
                when counted.reached_step_number >= funnel_steps.step_number
                    then counted.attempt_count
                else 0
            end
        ) as reached_count,
        sum(
            case
                when counted.reached_step_number >= funnel_steps.step_number - 1
                    then counted.attempt_count
                else 0
            end
        ) as before_count,
        funnel_steps.entry_date
    from funnel_steps
    inner join counted
        on funnel_steps.funnel_name = counted.funnel_name
            and funnel_steps.entry_date = counted.entry_date
    group by
        funnel_steps.funnel_name,
        counted.dimension_name,
        counted.dimension_value,
        funnel_steps.step_number,
        funnel_steps.entry_date

),

dimension_values as (

    select distinct
        funnel_name,
        dimension_name,
        dimension_value
    from counted

),

dense as (

    select
        funnel_steps.funnel_name,
        funnel_steps.step_name,
        funnel_steps.event_name,
        dimension_values.dimension_name,
        dimension_values.dimension_value,
        funnel_steps.step_number,
        cast(coalesce(reached.entered_count, 0) as bigint) as entered_count,
        cast(coalesce(reached.reached_count, 0) as bigint) as reached_count,
        cast(coalesce(reached.before_count, 0) as bigint) as before_count,
        funnel_steps.is_mature,
        funnel_steps.entry_date
    from funnel_steps
    inner join dimension_values
        on funnel_steps.funnel_name = dimension_values.funnel_name
    left join reached
        on funnel_steps.funnel_name = reached.funnel_name
            and funnel_steps.step_number = reached.step_number
            and funnel_steps.entry_date = reached.entry_date
            and dimension_values.dimension_name = reached.dimension_name
            and dimension_values.dimension_value = reached.dimension_value

),

final as (

    select
        funnel_name,
        step_name,
        event_name,
        dimension_name,
        dimension_value,
        step_number,
        entered_count,
        reached_count,
        {{ rate('reached_count', 'before_count') }} as step_conversion_rate,
        {{ rate('reached_count', 'entered_count') }} as overall_conversion_rate,
        is_mature,
        entry_date
    from dense

)

select * from final
