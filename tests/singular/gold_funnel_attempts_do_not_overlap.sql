{# R8: an attempt starts after the close of the one before it, and its steps follow one another
   strictly, within its window.
   Fails when: the ordered pass starts an attempt inside another or takes a step out of order.
   Who fixes it: growth. #}
with attempts as (

    select
        funnel_name,
        user_key,
        attempt_number,
        started_at,
        lag(closed_at) over (
            partition by funnel_name, user_key order by attempt_number
        ) as closed_before_at,
        closed_at
    from {{ ref('fct_funnel_attempts') }}

),

steps as (

    select
        funnel_name,
        user_key,
        attempt_number,
        step_number,
        lag(step_number, 1, 0) over (
            partition by funnel_name, user_key, attempt_number order by step_number
        ) as step_before_number,
        reached_at,
        lag(reached_at) over (
            partition by funnel_name, user_key, attempt_number order by step_number
        ) as reached_before_at
    from {{ ref('int_funnel_steps') }}

)

select
    attempts.funnel_name,
    attempts.user_key,
    attempts.attempt_number,
    steps.step_number
from attempts
inner join steps
    on attempts.funnel_name = steps.funnel_name
        and attempts.user_key = steps.user_key
        and attempts.attempt_number = steps.attempt_number
where attempts.started_at <= attempts.closed_before_at
    or steps.step_number <> steps.step_before_number + 1
    or steps.reached_at <= steps.reached_before_at
    or steps.reached_at > attempts.closed_at
