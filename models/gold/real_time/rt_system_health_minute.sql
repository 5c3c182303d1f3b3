{# Grain: one row per minute of the 60 that had ended by as-of, with zeros.
   Keys: minute_at.
   Incremental: none; 60 rows, built anew from gold and what landed after it.
   Rules: R16 (as the batch says), R11 (response time), R12 (error rate), R2 (internal users). #}
with requests as (

    select
        status_code,
        minute_at
    from {{ ref('int_recent_events') }}
    where event_name = 'api_request'

),

messages as (

    select
        message_id,
        conversation_id,
        role,
        source_order,
        is_internal,
        is_recent,
        minute_at,
        sent_at
    from {{ ref('int_recent_messages') }}

),

calendar as (

    {{ real_time_calendar() }}

),

preceded as (

    {{ preceded_messages('messages', carried=['is_recent', 'minute_at']) }}

),

responses as (

    select
        {{ exact_seconds_between('previous_sent_at', 'sent_at') }} as response_seconds,
        minute_at
    from preceded
    where {{ is_response() }}
        and is_recent

),

durations as (

    select
        minute_at,
        response_seconds,
        count(*) as response_count
    from responses
    group by
        minute_at,
        response_seconds

),

ranked as (

    select
        minute_at,
        response_seconds,
        sum(response_count) over (
            partition by minute_at order by response_seconds
            rows between unbounded preceding and current row
        ) as running_count,
        sum(response_count) over (partition by minute_at) as total_count
    from durations

),

waited as (

    select
        cast(max(total_count) as bigint) as response_count,
        {{ nearest_rank('response_seconds', 50) }} as p50_seconds,
        {{ nearest_rank('response_seconds', 95) }} as p95_seconds,
        minute_at
    from ranked
    group by minute_at

),

requested as (

    select
        count(*) as request_count,
        cast(sum(case when status_code >= 500 then 1 else 0 end) as bigint) as error_count,
        minute_at
    from requests
    group by minute_at

),

final as (

    select
        coalesce(requested.request_count, 0) as request_count,
        coalesce(requested.error_count, 0) as error_count,
        {{ rate('requested.error_count', 'requested.request_count') }} as error_rate,
        coalesce(waited.response_count, 0) as response_count,
        waited.p50_seconds as p50_response_seconds,
        waited.p95_seconds as p95_response_seconds,
        coalesce(requested.error_count * 100 > requested.request_count, false) as is_alert,
        calendar.minute_at
    from calendar
    left join requested
        on calendar.minute_at = requested.minute_at
    left join waited
        on calendar.minute_at = waited.minute_at

)

select * from final
