{# Grain: one row per funnel, user_key, attempt and step that the attempt reached.
   Keys: funnel_name, user_key, attempt_number, step_number.
   Incremental: none; rebuilt whole by one ordered pass over each user's funnel events.
   Rules: R8 (attempts, order, window), R2 (internal users). #}
with events as (

    select
        event_name,
        user_key,
        occurred_at
    from {{ ref('fct_events') }}
    where not is_internal

),

funnels as (

    select
        funnel_name,
        step_number,
        event_name,
        window_hours
    from {{ ref('funnels') }}

),

-- An event may recur in a funnel: it stands for the first step of its name, and its mask has a bit
-- for each.
coded as (

    select
        funnel_name,
        step_number,
        event_name,
        min(step_number) over (partition by funnel_name, event_name) as event_code,
        cast(
            sum(power(2, step_number - 1)) over (partition by funnel_name, event_name) as bigint
        ) as step_mask,
        window_hours
    from funnels

),

definitions as (

    select
        funnel_name,
        {{ ordered_list('step_mask', 'step_number') }} as step_masks,
        -- Names that stand for one step, not the first.
        cast(
            sum(
                case
                    when step_number > 1 and step_mask = power(2, step_number - 1)
                        then power(2, step_number)
                    else 0
                end
            ) as bigint
        ) as single_codes,
        cast(count(*) as bigint) as step_count,
        max(window_hours) as window_hours
    from coded
    group by funnel_name

),

funnel_events as (

    select
        coded.funnel_name,
        events.user_key,
        coded.event_code,
        events.occurred_at
    from events
    inner join coded
        on events.event_name = coded.event_name
            and coded.step_number = coded.event_code

),

reached_steps as (

    {#- sqlfluff reads no lambda of DuckDB yet. #}
    {{ funnel_pass('funnel_events', 'definitions') }} -- noqa: PRS

),

final as (

    select
        funnel_name,
        user_key,
        cast(
            sum(case when step_number = 1 then 1 else 0 end) over (
                partition by funnel_name, user_key order by reached_at
                rows between unbounded preceding and current row
            ) as integer
        ) as attempt_number,
        step_number,
        reached_at
    from reached_steps

)

select * from final
