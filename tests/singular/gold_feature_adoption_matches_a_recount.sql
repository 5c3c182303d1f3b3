{# R10: the sweep of rpt_feature_usage_daily equals a plain distinct count, on the newest two dates.
   Fails when: an interval of the sweep opens or closes on a wrong date.
   Who fixes it: growth. #}
with newest_dates as (

    select
        feature,
        users_28d,
        activity_date
    from {{ ref('rpt_feature_usage_daily') }}
    where activity_date >= {{ last_complete_date() }}

),

recounted as (

    select
        newest_dates.feature,
        newest_dates.users_28d,
        count(distinct events.user_id) as recounted_28d,
        newest_dates.activity_date
    from newest_dates
    left join {{ ref('fct_events') }} as events
        on newest_dates.feature = events.feature
            and newest_dates.activity_date >= events.event_date
            and newest_dates.activity_date < {{ date_add_days('events.event_date', 28) }}
            and not events.is_internal
    group by
        newest_dates.feature,
        newest_dates.users_28d,
        newest_dates.activity_date

)

select
    feature,
    activity_date,
    users_28d,
    recounted_28d
from recounted
where users_28d <> recounted_28d
