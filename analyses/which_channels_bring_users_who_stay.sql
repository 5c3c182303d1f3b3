{# Question: which acquisition channels bring many users, and users who are still active a week
   after they signed up? Mature daily cohorts of the last four weeks.
   Reads: rpt_retention_by_dimension (R6, R14).
   Run: dbt show --select which_channels_bring_users_who_stay --limit 20 #}
select
    dimension_value as acquisition_channel,
    sum(cohort_size) as signed_up_users,
    sum(retained_users) as retained_users,
    {{ rate('sum(retained_users)', 'sum(cohort_size)') }} as retention_7d_rate
from {{ ref('rpt_retention_by_dimension') }}
where dimension_name = 'acquisition_channel'
    and cohort_basis = 'signup'
    and cohort_grain = 'day'
    and period_number = 7
    and is_mature
    and cohort_start > {{ date_add_days(last_complete_date(), -35) }}
group by dimension_value
order by signed_up_users desc, dimension_value asc
