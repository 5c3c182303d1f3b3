{# Grain: one row per business date from the first event to the date of as-of, without gaps.
   Keys: date_day.
   Incremental: none; rebuilt whole, from the earliest events alone: those no later than the first date
   that it had, while there is one.
   Rules: R1 (business dates, weeks start on Monday; complete = had ended by as-of). #}
{%- set latest_first_date = earliest_bound(
    ref('fct_events'), 'event_date', 'date', 'min(date_day)', 'not is_internal'
) %}
with events as (

    select event_date
    from {{ ref('fct_events') }}
    where not is_internal
        and {{ is_within_bound('event_date', latest_first_date) }}

),

bounds as (

    select
        min(events.event_date) as first_date,
        {{ last_complete_date() }} as last_complete_date
    from events

),

numbers as (

    {{ natural_numbers() }}

),

days as (

    select
        {{ date_add_days('bounds.first_date', 'numbers.number') }} as date_day,
        bounds.last_complete_date
    from bounds
    inner join numbers
        on numbers.number <= {{ periods_between(
            'day', 'bounds.first_date', date_add_days('bounds.last_complete_date', 1)
        ) }}

),

final as (

    select
        cast(extract(year from date_day) as integer) as calendar_year,
        cast(extract(month from date_day) as integer) as month_of_year,
        cast(extract(week from date_day) as integer) as iso_week,
        cast({{ periods_between(
            'day', "cast(date_trunc('week', date_day) as date)", 'date_day'
        ) }} + 1 as integer) as iso_day_of_week,
        date_day <= last_complete_date as is_complete,
        date_day,
        cast(date_trunc('week', date_day) as date) as week_start_date,
        cast(date_trunc('month', date_day) as date) as month_start_date
    from days

)

select * from final
