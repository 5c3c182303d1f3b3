{# Grain: one row per business date from the first event to the date of as-of (flagged), with zeros.
   Keys: session_date.
   Incremental: none; rebuilt whole from the sessions, of which a late event can join two of any date.
   Rules: R9 (a session is dated by its start), R1. #}
with sessions as (

    select
        user_key,
        user_id,
        event_count,
        message_count,
        duration_seconds,
        session_date
    from {{ ref('fct_sessions') }}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

counted as (

    select
        count(*) as session_count,
        count(distinct user_key) as user_count,
        count(distinct user_id) as known_user_count,
        cast(sum(event_count) as bigint) as event_count,
        cast(sum(message_count) as bigint) as message_count,
        cast(sum(duration_seconds) as bigint) as total_duration_seconds,
        session_date
    from sessions
    group by session_date

),

durations as (

    select
        session_date,
        duration_seconds,
        count(*) as session_count
    from sessions
    group by
        session_date,
        duration_seconds

),

ranked as (

    select
        session_date,
        duration_seconds,
        sum(session_count) over (
            partition by session_date order by duration_seconds
            rows between unbounded preceding and current row
        ) as running_count,
        sum(session_count) over (partition by session_date) as total_count
    from durations

),

percentiles as (

    select
        {{ nearest_rank('duration_seconds', 50) }} as median_duration_seconds,
        {{ nearest_rank('duration_seconds', 90) }} as p90_duration_seconds,
        session_date
    from ranked
    group by session_date

),

final as (

    select
        coalesce(counted.session_count, 0) as session_count,
        coalesce(counted.user_count, 0) as user_count,
        coalesce(counted.known_user_count, 0) as known_user_count,
        coalesce(counted.event_count, 0) as event_count,
        coalesce(counted.message_count, 0) as message_count,
        coalesce(counted.total_duration_seconds, 0) as total_duration_seconds,
        percentiles.median_duration_seconds,
        percentiles.p90_duration_seconds,
        {{ rate('counted.event_count', 'counted.session_count') }} as events_per_session,
        {{ rate('counted.message_count', 'counted.session_count') }} as messages_per_session,
        dates.is_complete,
        dates.date_day as session_date
    from dates
    left join counted
        on dates.date_day = counted.session_date
    left join percentiles
        on dates.date_day = percentiles.session_date

)

select * from final
