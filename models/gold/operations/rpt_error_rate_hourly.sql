{# Grain: one row per hour (UTC), the first event's to that of as-of (flagged), with zeros.
   Keys: hour_at.
   Incremental: hours of dates of which an event changed, however old they are, of the last date it had
   and of those new in the calendar.
   Rules: R12 (share of requests answered with 500 or more, alert above 1 %), R2, R1. #}
{{ incremental_fact(
    key='hour_at', void='request_count', dated_by='hour_at', follows=['fct_events']
) }}
{%- do incremental_ref('dim_dates') %}
{%- set scope = fact_scope() %}
{%- set grouped_dates = dates_to_group(
    'fct_events', 'event_date', 'hour_date',
    condition='existing.hour_date < (select max(latest.hour_date) from ' ~ this ~ ' as latest)'
) if scope == 'some' %}
{%- set latest_first_instant = earliest_bound(
    ref('fct_events'), 'occurred_at', 'timestamp', timestamp_add_hours('min(hour_at)', 1),
    'not is_internal'
) %}
with first_events as (

    select occurred_at
    from {{ ref('fct_events') }}
    where not is_internal
        and {{ is_within_bound('occurred_at', latest_first_instant) }}

),

-- An hour may lie in two dates: with each date its neighbours are read.
events as (

    select
        status_code,
        occurred_at
    from {{ ref('fct_events') }}
    where not is_internal
        and event_name = 'api_request'
    {%- if scope == 'some' %}
        and {{ date_is_among('event_date', dates_around(grouped_dates, 1, 1)) }}
    {%- endif %}

),

bounds as (

    select
        date_trunc('hour', min(occurred_at)) as first_hour_at,
        {{ as_of() }} as as_of
    from first_events

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
    group by date_trunc('hour', occurred_at)

),
{% if scope == 'some' %}
{%- set is_grouped -%}
(
            {{ date_is_among(business_date('hour_at'), grouped_dates) }}
            or {{ date_is_among(business_date(timestamp_add_hours('hour_at', 1)), grouped_dates) }}
        )
{%- endset %}
counted as (

    select
        hour_at,
        request_count,
        error_count
    from requests
    where {{ is_grouped }}

    union all

    select
        hour_at,
        request_count,
        error_count
    from {{ this }}
    where not {{ is_grouped }}

),
{% else %}
counted as (

    select
        hour_at,
        request_count,
        error_count
    from requests

),
{% endif %}
final as (

    select
        coalesce(counted.request_count, 0) as request_count,
        coalesce(counted.error_count, 0) as error_count,
        {{ rate('counted.error_count', 'counted.request_count') }} as error_rate,
        coalesce(counted.error_count * 100 > counted.request_count, false) as is_alert,
        {{ timestamp_add_hours('hours.hour_at', 1) }} <= hours.as_of as is_complete,
        {{ business_date('hours.hour_at') }} as hour_date,
        hours.hour_at
    from hours
    left join counted
        on hours.hour_at = counted.hour_at
    -- An hour that begins with as-of has not begun to be reported.
    where hours.hour_at < hours.as_of

)

{{ changed_rows('final', 'all') }}
