{# Grain: one row per business date from the first event to the date of as-of (flagged), with zeros.
   Keys: response_date.
   Incremental: none; rebuilt whole from the responses.
   Rules: R11 (percentiles by nearest rank, dated by the assistant's message), R1. #}
{%- set percents = [50, 90, 95, 99] -%}

with responses as (

    select
        response_seconds,
        response_date
    from {{ ref('int_responses') }}

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

select * from final
