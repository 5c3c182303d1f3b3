{# Question: what made monthly recurring revenue grow or shrink in the last six months?
   Reads: rpt_mrr_monthly (R7); currencies stand apart, and all plans are together.
   Run: dbt show --select what_moves_recurring_revenue --limit 20 #}
select
    month_start,
    currency,
    opening_mrr_cents,
    new_mrr_cents,
    reactivated_mrr_cents,
    expansion_mrr_cents,
    contraction_mrr_cents,
    churned_mrr_cents,
    closing_mrr_cents,
    {{ rate('closing_mrr_cents - opening_mrr_cents', 'opening_mrr_cents') }} as growth_rate
from {{ ref('rpt_mrr_monthly') }}
where plan_code = 'all'
    and month_start > {{ date_add_days(last_complete_date(), -184) }}
order by
    currency,
    month_start
