{# Grain: one row per business date from the first activity to that of as-of (flagged) and region.
   Keys: activity_date, region.
   Incremental: none; rebuilt whole by one sweep over the spans of registration.
   Rules: R14 (adoption by region), R13 (who is registered), R3, R1. #}
with active_users as (

    select
        dimension_value as region,
        active_users_28d,
        is_complete,
        activity_date
    from {{ ref('rpt_active_users_by_dimension') }}
    where dimension_name = 'region'

),

registered as (

    select
        region,
        applies_from_date,
        applies_to_date
    from {{ ref('int_registered_spans') }}

),

dates as (

    select distinct
        is_complete,
        activity_date
    from active_users

),

first_activity as (

    select min(activity_date) as first_date
    from dates

),

-- Regions in which somebody is registered or was active.
regions as (

    select region
    from registered

    union distinct

    select region
    from active_users

),

-- Spans that began before the report's first date count from it.
steps as (

    select
        registered.region,
        1 as registered_change,
        greatest(registered.applies_from_date, first_activity.first_date) as step_date
    from registered
    cross join first_activity

    union all

    select
        registered.region,
        -1 as registered_change,
        greatest(registered.applies_to_date, first_activity.first_date) as step_date
    from registered
    cross join first_activity

),

stepped as (

    select
        region,
        sum(registered_change) as registered_change,
        step_date
    from steps
    group by
        region,
        step_date

),

counted as (

    select
        regions.region,
        coalesce(active_users.active_users_28d, 0) as active_users_28d,
        cast(
            sum(coalesce(stepped.registered_change, 0)) over (
                partition by regions.region order by dates.activity_date
                rows between unbounded preceding and current row
            ) as bigint
        ) as registered_users,
        dates.is_complete,
        dates.activity_date
    from dates
    cross join regions
    left join active_users
        on dates.activity_date = active_users.activity_date
            and regions.region = active_users.region
    left join stepped
        on dates.activity_date = stepped.step_date
            and regions.region = stepped.region

),

totalled as (

    select
        region,
        active_users_28d,
        registered_users,
        cast(sum(active_users_28d) over (partition by activity_date) as bigint) as all_active_users,
        is_complete,
        activity_date
    from counted

),

final as (

    select
        region,
        active_users_28d,
        registered_users,
        {{ rate('active_users_28d', 'registered_users') }} as adoption_rate,
        {{ rate('active_users_28d', 'all_active_users') }} as active_share_rate,
        is_complete,
        activity_date
    from totalled

)

select * from final
