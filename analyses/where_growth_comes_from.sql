{# Question: of the users of each of the last eight complete weeks, who was new, who stayed, who
   came back, and how many came for each who went dormant?
   Reads: rpt_lifecycle (R4).
   Run: dbt show --select where_growth_comes_from --limit 20 #}
select
    period_start as week_start,
    new_users,
    returning_users,
    resurrected_users,
    dormant_users,
    active_users,
    quick_ratio
from {{ ref('rpt_lifecycle') }}
where period_grain = 'week'
    and is_complete
    and period_start > {{ date_add_days(last_complete_date(), -63) }}
order by period_start
