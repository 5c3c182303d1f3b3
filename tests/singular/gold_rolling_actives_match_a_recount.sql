{# R3: the sweep of rpt_active_users_daily equals a plain distinct count, on the newest three dates.
   Fails when: an interval of the sweep opens or closes on a wrong date.
   Who fixes it: growth. #}
with newest_dates as (

    select
        activity_date,
        active_users_7d,
        active_users_28d,
        active_users_30d
    from {{ ref('rpt_active_users_daily') }}
    where activity_date >= {{ date_add_days(last_complete_date(), -1) }}

),

recounted as (

    select
        newest_dates.activity_date,
        newest_dates.active_users_7d,
        newest_dates.active_users_28d,
        newest_dates.active_users_30d,
        count(
            distinct case
                when newest_dates.activity_date < {{ date_add_days('user_days.activity_date', 7) }}
                    then user_days.user_id
            end
        ) as recounted_7d,
        count(
            distinct case
                when newest_dates.activity_date < {{ date_add_days('user_days.activity_date', 28) }}
                    then user_days.user_id
            end
        ) as recounted_28d,
        count(distinct user_days.user_id) as recounted_30d
    from newest_dates
    left join {{ ref('fct_user_days') }} as user_days
        on newest_dates.activity_date >= user_days.activity_date
            and newest_dates.activity_date < {{ date_add_days('user_days.activity_date', 30) }}
    group by
        newest_dates.activity_date,
        newest_dates.active_users_7d,
        newest_dates.active_users_28d,
        newest_dates.active_users_30d

)

select
    activity_date,
    active_users_7d,
    recounted_7d,
    active_users_28d,
    recounted_28d,
    active_users_30d,
    recounted_30d
from recounted
where active_users_7d <> recounted_7d
    or active_users_28d <> recounted_28d
    or active_users_30d <> recounted_30d
