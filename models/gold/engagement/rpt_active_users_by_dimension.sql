{# Grain: one row per business date (the current one flagged), dimension and value, with zeros.
   Keys: activity_date, dimension_name, dimension_value.
   Incremental: none; rebuilt whole by one sweep over the spans of active people.
   Rules: R14 (one value per person, date and window), R3 (rolling actives), R13, R1. #}
{%- set windows = [1, 7, 28, 30] -%}

with active_spans as (

    select
        {%- for column in dimensions().values() %}
        {{ column }},
        {%- endfor %}
        active_date,
        applies_from_date,
        applies_to_date
    from {{ ref('int_active_spans') }}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

user_days as (

    select activity_date
    from {{ ref('fct_user_days') }}

),

first_activity as (

    select min(activity_date) as first_date
    from user_days

),

aged as (

    select
        {%- for column in dimensions().values() %}
        {{ column }},
        {%- endfor %}
        {{ periods_between('day', 'active_date', 'applies_from_date') }} as age_days,
        {{ periods_between('day', 'applies_from_date', 'applies_to_date') }} as span_days,
        applies_from_date
    from active_spans

),

-- Spans that count alike: of one value, begun on one date, as long after the active day, as long.
alike as (

    {{ count_by_dimension('aged', ['age_days', 'span_days', 'applies_from_date'], 'user_count') }}

),

-- A span counts in the window of N days until the active day is N days old.
steps as (

    select
        dimension_name,
        dimension_value,
        {%- for days in windows %}
        case when age_days < {{ days }} then user_count else 0 end as change_{{ days }}d,
        {%- endfor %}
        applies_from_date as step_date
    from alike

    {% for days in windows %}
    union all

    select
        dimension_name,
        dimension_value,
        {%- for other in windows %}
        {{ '-user_count' if other == days else '0' }} as change_{{ other }}d,
        {%- endfor %}
        {{ date_add_days(
            'applies_from_date', 'least(span_days, ' ~ days ~ ' - age_days)'
        ) }} as step_date
    from alike
    where age_days < {{ days }}
    {% endfor %}
),

stepped as (

    select
        dimension_name,
        dimension_value,
        {%- for days in windows %}
        sum(change_{{ days }}d) as change_{{ days }}d,
        {%- endfor %}
        step_date
    from steps
    group by
        dimension_name,
        dimension_value,
        step_date

),

dimension_values as (

    select distinct
        dimension_name,
        dimension_value
    from alike

),

final as (

    select
        dimension_values.dimension_name,
        dimension_values.dimension_value,
        {%- for days in windows %}
        cast(
            sum(coalesce(stepped.change_{{ days }}d, 0)) over (
                partition by dimension_values.dimension_name, dimension_values.dimension_value
                order by dates.date_day
                rows between unbounded preceding and current row
            ) as bigint
        ) as active_users_{{ days }}d,
        {%- endfor %}
        dates.is_complete,
        dates.date_day as activity_date
    from dates
    inner join first_activity
        on dates.date_day >= first_activity.first_date
    cross join dimension_values
    left join stepped
        on dates.date_day = stepped.step_date
            and dimension_values.dimension_name = stepped.dimension_name
            and dimension_values.dimension_value = stepped.dimension_value

)

select * from final
