{# Grain: one row per business date from the first event to the date of as-of (flagged), with zeros.
   Keys: session_date.
   Incremental: dates of which a session changed, however old they are (a late event can join two of any
   date), and those new in the calendar.
   Rules: R9 (a session is dated by its start), R1. #}
{{ incremental_fact(
    key='session_date', void='session_count', dated_by='session_date', follows=['fct_sessions']
) }}
{%- set scope = fact_scope() %}
{%- set grouped_dates = dates_to_group('fct_sessions', 'session_date', 'session_date')
    if scope == 'some' %}
with sessions as (

    select
        user_key,
        user_id,
        event_count,
        message_count,
        duration_seconds,
        session_date
    from {{ ref('fct_sessions') }}
    {%- if scope == 'some' %}
    where {{ date_is_among('session_date', grouped_dates) }}
    {%- endif %}

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

days as (

    select
        counted.session_count,
        counted.user_count,
        counted.known_user_count,
        counted.event_count,
        counted.message_count,
        counted.total_duration_seconds,
        percentiles.median_duration_seconds,
        percentiles.p90_duration_seconds,
        counted.session_date
    from counted
    inner join percentiles
        on counted.session_date = percentiles.session_date

    {%- if scope == 'some' %}

    union all

    select
        session_count,
        user_count,
        known_user_count,
        event_count,
        message_count,
        total_duration_seconds,
        median_duration_seconds,
        p90_duration_seconds,
        session_date
    from {{ this }}
    where session_count > 0
        and not {{ date_is_among('session_date', grouped_dates) }}
    {%- endif %}

),

final as (

    select
        coalesce(days.session_count, 0) as session_count,
        coalesce(days.user_count, 0) as user_count,
        coalesce(days.known_user_count, 0) as known_user_count,
        coalesce(days.event_count, 0) as event_count,
        coalesce(days.message_count, 0) as message_count,
        coalesce(days.total_duration_seconds, 0) as total_duration_seconds,
        days.median_duration_seconds,
        days.p90_duration_seconds,
        {{ rate('days.event_count', 'days.session_count') }} as events_per_session,
        {{ rate('days.message_count', 'days.session_count') }} as messages_per_session,
        dates.is_complete,
        dates.date_day as session_date
    from dates
    left join days
        on dates.date_day = days.session_date

)

{{ changed_rows('final', 'all') }}
