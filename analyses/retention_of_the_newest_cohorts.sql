{# Question: do the newest weekly sign-up cohorts come back more or less than those before them?
   Reads: rpt_retention, mature periods only; one row a cohort and week.
   Run: dbt show --select retention_of_the_newest_cohorts --limit 40 #}
select
    cohort_start,
    cohort_size,
    period_number,
    retained_users,
    retention_rate
from {{ ref('rpt_retention') }}
where cohort_basis = 'signup'
    and cohort_grain = 'week'
    and retention_mode = 'on'
    and is_mature
    and cohort_start >= {{ date_add_days(last_complete_date(), -56) }}
order by
    cohort_start,
    period_number
