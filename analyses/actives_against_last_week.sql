{# Question: is each of the last seven dates above or below the same weekday of the week before?
   Reads: rpt_active_users_daily, complete dates only.
   Run: dbt show --select actives_against_last_week #}
with dates as (

    select
        activity_date,
        active_users_1d,
        lag(active_users_1d, 7) over (order by activity_date) as active_users_week_before
    from {{ ref('rpt_active_users_daily') }}
    where is_complete

)

select
    activity_date,
    active_users_1d,
    active_users_week_before,
    {{ rate(
        'active_users_1d - active_users_week_before', 'active_users_week_before'
    ) }} as change_rate
from dates
where activity_date > {{ date_add_days(last_complete_date(), -7) }}
order by activity_date
