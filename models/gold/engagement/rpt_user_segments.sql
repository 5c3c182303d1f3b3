{# Grain: one row per business date from the first activity to that of as-of (flagged) and segment.
   Keys: activity_date, segment.
   Incremental: none; rebuilt whole by one sweep over the spans of segments.
   Rules: R13 (segments, exclusive and exhaustive), R1. #}
{%- set latest_first_date = earliest_bound(
    ref('fct_user_days'), 'activity_date', 'date', 'min(activity_date)'
) %}
with user_segments as (

    select
        segment,
        applies_from_date,
        applies_to_date
    from {{ ref('int_user_segments') }}

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
    where {{ is_within_bound('activity_date', latest_first_date) }}

),

first_activity as (

    select min(activity_date) as first_date
    from user_days

),

segments as (

    select segment.segment
    from (
        values
        {%- for name in segment_names() %}
        ('{{ name }}'){{ ',' if not loop.last }}
        {%- endfor %}
    ) as segment (segment)

),

-- Spans that began before the report's first date count from it.
steps as (

    select
        user_segments.segment,
        greatest(user_segments.applies_from_date, first_activity.first_date) as step_date,
        count(*) as user_change
    from user_segments
    cross join first_activity
    group by
        user_segments.segment,
        greatest(user_segments.applies_from_date, first_activity.first_date)

    union all

    select
        user_segments.segment,
        greatest(user_segments.applies_to_date, first_activity.first_date) as step_date,
        -count(*) as user_change
    from user_segments
    cross join first_activity
    group by
        user_segments.segment,
        greatest(user_segments.applies_to_date, first_activity.first_date)

),

stepped as (

    select
        segment,
        step_date,
        sum(user_change) as user_change
    from steps
    group by
        segment,
        step_date

),

counted as (

    select
        segments.segment,
        cast(
            sum(coalesce(stepped.user_change, 0)) over (
                partition by segments.segment order by dates.date_day
                rows between unbounded preceding and current row
            ) as bigint
        ) as user_count,
        dates.is_complete,
        dates.date_day
    from dates
    inner join first_activity
        on dates.date_day >= first_activity.first_date
    cross join segments
    left join stepped
        on segments.segment = stepped.segment
            and dates.date_day = stepped.step_date

),

totalled as (

    select
        segment,
        user_count,
        cast(sum(user_count) over (partition by date_day) as bigint) as registered_count,
        is_complete,
        date_day
    from counted

),

final as (

    select
        segment,
        user_count,
        {{ rate('user_count', 'registered_count') }} as user_rate,
        is_complete,
        date_day as activity_date
    from totalled

)

select * from final
