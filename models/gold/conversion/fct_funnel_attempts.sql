{# Grain: one row per funnel, user_key (anonymous visitors included) and attempt.
   Keys: funnel_name, user_key, attempt_number.
   Incremental: none; rebuilt whole from the steps reached.
   Rules: R8 (attempts and their close), R1. #}
with reached_steps as (

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
        step_number,
        window_hours
    from {{ ref('funnels') }}

),

definitions as (

    select
        funnel_name,
        cast(max(step_number) as integer) as step_count,
        max(window_hours) as window_hours
    from funnels
    group by funnel_name

),

attempts as (

    select
        funnel_name,
        user_key,
        attempt_number,
        max(step_number) as reached_step_number,
        min(reached_at) as started_at,
        max(reached_at) as last_reached_at
    from reached_steps
    group by
        funnel_name,
        user_key,
        attempt_number

),

final as (

    select
        attempts.funnel_name,
        attempts.user_key,
        case
            when attempts.user_key not like 'anon:%' then cast(attempts.user_key as bigint)
        end as user_id,
        attempts.attempt_number,
        attempts.reached_step_number,
        definitions.step_count,
        attempts.reached_step_number = definitions.step_count as is_completed,
        {{ business_date('attempts.started_at') }} as entry_date,
        attempts.started_at,
        case
            when attempts.reached_step_number = definitions.step_count
                then attempts.last_reached_at
            else {{ timestamp_add_hours('attempts.started_at', 'definitions.window_hours') }}
        end as closed_at
    from attempts
    inner join definitions
        on attempts.funnel_name = definitions.funnel_name

)

select * from final
