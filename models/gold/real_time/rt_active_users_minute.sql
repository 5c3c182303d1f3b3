{# Grain: one row per minute of the 60 that had ended by as-of, with zeros.
   Keys: minute_at.
   Incremental: none; 60 rows, built anew from gold and what landed after it.
   Rules: R16 (as the batch says), R2 (who is active). #}
with events as (

    select
        user_id,
        minute_at
    from {{ ref('int_recent_events') }}
    where is_active_signal
        and user_id is not null

),

messages as (

    select
        user_id,
        minute_at
    from {{ ref('int_recent_messages') }}
    where is_recent
        and role = 'user'
        and user_id is not null
        and not is_internal

),

calendar as (

    {{ real_time_calendar() }}

),

signals as (

    select
        user_id,
        minute_at
    from events
    union all
    select
        user_id,
        minute_at
    from messages

),

counted as (

    select
        count(*) as signal_count,
        count(distinct user_id) as active_users,
        minute_at
    from signals
    group by minute_at

),

final as (

    select
        coalesce(counted.active_users, 0) as active_users,
        coalesce(counted.signal_count, 0) as signal_count,
        calendar.minute_at
    from calendar
    left join counted
        on calendar.minute_at = counted.minute_at

)

select * from final
