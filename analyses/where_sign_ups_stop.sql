{# Question: at which step of each funnel do most people stop, over the mature entry dates of the
   last four weeks?
   Reads: rpt_conversion_funnel. The rate of a step is of those who reached the step before it.
   Run: dbt show --select where_sign_ups_stop --limit 20 #}
with steps as (

    select
        funnel_name,
        step_number,
        step_name,
        sum(reached_count) as reached_count
    from {{ ref('rpt_conversion_funnel') }}
    where is_mature
        and entry_date > {{ date_add_days(last_complete_date(), -28) }}
    group by
        funnel_name,
        step_number,
        step_name

),

compared as (

    select
        funnel_name,
        step_number,
        step_name,
        reached_count,
        lag(reached_count) over (partition by funnel_name order by step_number) as reached_before
    from steps

)

select
    funnel_name,
    step_number,
    step_name,
    reached_count,
    reached_before - reached_count as stopped_count,
    {{ rate('reached_count', 'reached_before') }} as step_rate
from compared
order by
    funnel_name,
    step_number
