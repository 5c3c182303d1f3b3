{# Grain: one row per business date from the first event to the date of as-of (flagged), with zeros.
   Keys: response_date.
   Incremental: dates of which a response changed, however old they are, and those new in the calendar.
   Rules: R11 (percentiles by nearest rank, dated by the assistant's message), R1. #}
{{ incremental_fact(
    key='response_date', void='response_count', dated_by='response_date', follows=['int_responses']
) }}
{%- set scope = fact_scope() %}
{%- set grouped_dates = dates_to_group('int_responses', 'response_date', 'response_date')
    if scope == 'some' %}
{%- set percents = [50, 90, 95, 99] -%}

with responses as (

    select
        response_seconds,
        response_date
    from {{ ref('int_responses') }}
    {%- if scope == 'some' %}
    where {{ date_is_among('response_date', grouped_dates) }}
    {%- endif %}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

durations as (

    select
        response_date,
        response_seconds,
        count(*) as response_count
    from responses
    group by
        response_date,
        response_seconds

),

ranked as (

    select
        response_date,
        response_seconds,
        sum(response_count) over (
            partition by response_date order by response_seconds
            rows between unbounded preceding and current row
        ) as running_count,
        sum(response_count) over (partition by response_date) as total_count
    from durations

),

percentiles as (

    select
        cast(max(total_count) as bigint) as response_count,
        {%- for percent in percents %}
        {{ nearest_rank('response_seconds', percent) }} as p{{ percent }}_seconds,
        {%- endfor %}
        response_date
    from ranked
    group by response_date

    {%- if scope == 'some' %}

    union all

    select
        response_count,
        {%- for percent in percents %}
        p{{ percent }}_seconds,
        {%- endfor %}
        response_date
    from {{ this }}
    where not {{ date_is_among('response_date', grouped_dates) }}
    {%- endif %}

),

final as (

    select
        coalesce(percentiles.response_count, 0) as response_count,
        {%- for percent in percents %}
        percentiles.p{{ percent }}_seconds,
        {%- endfor %}
        dates.is_complete,
        dates.date_day as response_date
    from dates
    left join percentiles
        on dates.date_day = percentiles.response_date

)

{{ changed_rows('final', 'all') }}
