{# Question: in which regions does the audience grow, and how much of the registered base is active?
   Reads: rpt_regional_adoption (R14), the last complete date and the one 28 days earlier.
   Run: dbt show --select which_regions_grow --limit 40 #}
with regions_now as (

    select
        region,
        active_users_28d,
        registered_users,
        adoption_rate
    from {{ ref('rpt_regional_adoption') }}
    where activity_date = {{ last_complete_date() }}

),

regions_before as (

    select
        region,
        active_users_28d
    from {{ ref('rpt_regional_adoption') }}
    where activity_date = {{ date_add_days(last_complete_date(), -28) }}

)

select
    regions_now.region,
    regions_now.active_users_28d,
    regions_now.registered_users,
    regions_now.adoption_rate,
    regions_before.active_users_28d as active_users_before,
    {{ rate(
        'regions_now.active_users_28d - regions_before.active_users_28d',
        'regions_before.active_users_28d'
    ) }} as growth_rate
from regions_now
left join regions_before
    on regions_now.region = regions_before.region
order by regions_now.active_users_28d desc, regions_now.region asc
