{# Grain: one row per hour (UTC), the first event's to that of as-of (flagged), with zeros.
   Keys: hour_at.
   Incremental: none; rebuilt whole from the requests.
   Rules: R12 (share of requests answered with 500 or more, alert above 1 %), R2, R1. #}
with events as (

    select
        event_name,
        status_code,
        occurred_at
    from {{ ref('fct_events') }}
    where not is_internal

),

bounds as (

    select
        date_trunc('hour', min(occurred_at)) as first_hour_at,
        {{ as_of() }} as as_of
    from events

),

-- Days times hours: the numbers alone would end after eleven years of hours.
numbers as (

    {{ natural_numbers() }}

),

hours_of_day as (

    select number as hour_number
    from numbers
    where number < 24

),

hours as (

    select
        {{ timestamp_add_hours(
            'bounds.first_hour_at', '24 * numbers.number + hours_of_day.hour_number'
        ) }} as hour_at,
        bounds.as_of
    from bounds
    inner join numbers
        on {{ timestamp_add_hours('bounds.first_hour_at', '24 * numbers.number') }} <= bounds.as_of
    cross join hours_of_day

),

requests as (

    select
        date_trunc('hour', occurred_at) as hour_at,
        count(*) as request_count,
        cast(sum(case when status_code >= 500 then 1 else 0 end) as bigint) as error_count
    from events
    where event_name = 'api_request'
    group by date_trunc('hour', occurred_at)

),

final as (

    select
        coalesce(requests.request_count, 0) as request_count,
        coalesce(requests.error_count, 0) as error_count,
        {{ rate('requests.error_count', 'requests.request_count') }} as error_rate,
        coalesce(requests.error_count * 100 > requests.request_count, false) as is_alert,
        {{ timestamp_add_hours('hours.hour_at', 1) }} <= hours.as_of as is_complete,
        {{ business_date('hours.hour_at') }} as hour_date,
        hours.hour_at
    from hours
    left join requests
        on hours.hour_at = requests.hour_at
    -- An hour that begins with as-of has not begun to be reported.
    where hours.hour_at < hours.as_of

)

select * from final
