{# Question: what do the language models cost for each user whom they serve, month by month?
   Reads: rpt_llm_usage_daily (R15) and rpt_lifecycle (R4), complete months only.
   Run: dbt show --select what_an_active_user_costs --limit 20 #}
with costs as (

    select
        cast(date_trunc('month', usage_date) as date) as month_start,
        sum(token_count) as token_count,
        sum(cost_cents) as cost_cents
    from {{ ref('rpt_llm_usage_daily') }}
    where is_complete
    group by cast(date_trunc('month', usage_date) as date)

),

months as (

    select
        period_start,
        active_users
    from {{ ref('rpt_lifecycle') }}
    where period_grain = 'month'
        and is_complete

)

select
    months.period_start as month_start,
    months.active_users,
    costs.token_count,
    cast(costs.cost_cents as decimal(18, 2)) as cost_cents,
    cast(costs.cost_cents / nullif(months.active_users, 0) as decimal(18, 4)) as cents_per_user
from months
inner join costs
    on months.period_start = costs.month_start
order by months.period_start
