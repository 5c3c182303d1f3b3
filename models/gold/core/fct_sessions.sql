{# Grain: one row per session of a user_key, anonymous visitors included, internal users not.
   Keys: session_id (the id of its first event).
   Incremental: none; rebuilt whole.
   Rules: R9, R1, R2 (internal users). #}
with events as (

    select
        event_id,
        event_name,
        user_id,
        user_key,
        platform,
        occurred_at
    from {{ ref('fct_events') }}
    where not is_internal
        and (source_system = 'app_events' or event_name = 'message_sent')

),

spaced as (

    select
        event_id,
        event_name,
        user_id,
        user_key,
        platform,
        {{ epoch_microseconds('occurred_at') }}
        - lag({{ epoch_microseconds('occurred_at') }}) over (
            partition by user_key order by occurred_at, event_id
        ) as gap_microseconds,
        occurred_at
    from events

),

numbered as (

    select
        event_id,
        event_name,
        user_id,
        user_key,
        platform,
        -- A gap of exactly 30 minutes is still the same session.
        sum(
            case when gap_microseconds is null or gap_microseconds > 1800000000 then 1 else 0 end
        ) over (
            partition by user_key order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as session_number,
        gap_microseconds is null or gap_microseconds > 1800000000 as is_first,
        occurred_at
    from spaced

),

final as (

    select
        max(case when is_first then event_id end) as session_id,
        user_key,
        max(user_id) as user_id,
        coalesce(max(case when is_first then platform end), 'unknown') as platform,
        cast(session_number as bigint) as session_number,
        count(*) as event_count,
        cast(
            sum(case when event_name = 'message_sent' then 1 else 0 end) as bigint
        ) as message_count,
        {{ seconds_between('min(occurred_at)', 'max(occurred_at)') }} as duration_seconds,
        {{ business_date('min(occurred_at)') }} as session_date,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at
    from numbered
    group by
        user_key,
        session_number

)

select * from final
