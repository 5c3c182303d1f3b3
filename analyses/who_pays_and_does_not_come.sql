{# Question: how much recurring revenue comes from people who have stopped using the product, and is
   likely to be lost next?
   Reads: rpt_customer_360 (R7, R13); currencies stand apart.
   Run: dbt show --select who_pays_and_does_not_come --limit 20 #}
select
    currency,
    segment,
    count(*) as paying_users,
    sum(mrr_cents) as mrr_cents,
    sum(ltv_cents) as ltv_cents,
    max(last_active_date) as last_active_date
from {{ ref('rpt_customer_360') }}
where mrr_cents > 0
group by
    currency,
    segment
order by currency asc, mrr_cents desc, segment asc
