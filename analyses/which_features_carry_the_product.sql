{# Question: which features does the month's audience use, and is it more or less than four weeks
   before?
   Reads: rpt_feature_usage_daily (R10), the last complete date and the one 28 days earlier.
   Run: dbt show --select which_features_carry_the_product --limit 30 #}
with usage_now as (

    select
        feature,
        users_28d,
        adoption_rate
    from {{ ref('rpt_feature_usage_daily') }}
    where activity_date = {{ last_complete_date() }}

),

usage_before as (

    select
        feature,
        adoption_rate
    from {{ ref('rpt_feature_usage_daily') }}
    where activity_date = {{ date_add_days(last_complete_date(), -28) }}

)

select
    usage_now.feature,
    usage_now.users_28d,
    usage_now.adoption_rate,
    usage_before.adoption_rate as adoption_rate_before,
    usage_now.adoption_rate - usage_before.adoption_rate as adoption_change
from usage_now
left join usage_before
    on usage_now.feature = usage_before.feature
order by usage_now.users_28d desc, usage_now.feature asc
