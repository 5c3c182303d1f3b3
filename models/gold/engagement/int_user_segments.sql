{# Grain: one row per registered, non-internal person and span of dates in one segment.
   Keys: user_id, applies_from_date.
   Incremental: none; rebuilt whole by one ordered pass over the user-days.
   Rules: R13 (segments, first match wins), R2. #}
{%- set window_days = 28 -%}
{%- set levels = activity_segments() | map(attribute=1) | select | list -%}

with registered as (

    select
        user_id,
        joined_date,
        applies_from_date,
        applies_to_date
    from {{ ref('int_registered_spans') }}

),

user_days as (

    select
        user_id,
        activity_date
    from {{ ref('fct_user_days') }}

),

people as (

    select
        user_id,
        max(joined_date) as joined_date
    from registered
    group by user_id

),

-- Whether k dates of a window are active is said by the k-th latest active day: no adding up. An
-- active day has k in its window until level_k_ends; the day before it had until level_k_ended.
followed as (

    select
        user_id,
        {%- for days in levels %}
        {{ date_add_days(
            'lag(activity_date, ' ~ (days - 1)
            ~ ') over (partition by user_id order by activity_date)', window_days
        ) }} as level_{{ days }}_ends,
        {{ date_add_days(
            'lag(activity_date, ' ~ days
            ~ ') over (partition by user_id order by activity_date)', window_days
        ) }} as level_{{ days }}_ended,
        {%- endfor %}
        activity_date,
        lead(activity_date) over (partition by user_id order by activity_date) as next_date
    from user_days

),

-- A level is reached where it was not held the day before, and lost where no later active day comes
-- in time. Few active days do either.
turned as (

    select
        user_id,
        {%- for days in levels %}
        case
            when activity_date < level_{{ days }}_ends
                and activity_date > coalesce(level_{{ days }}_ended, date '0001-01-01')
                then activity_date
        end as reached_{{ days }}_date,
        case
            when activity_date < level_{{ days }}_ends
                and coalesce(next_date, date '9999-12-31') > level_{{ days }}_ends
                then level_{{ days }}_ends
        end as lost_{{ days }}_date,
        {%- endfor %}
        activity_date
    from followed

),

turns as (
    {% for days in levels %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        user_id,
        1 as level_change,
        reached_{{ days }}_date as step_date
    from turned
    where reached_{{ days }}_date is not null

    union all

    select
        user_id,
        -1 as level_change,
        lost_{{ days }}_date as step_date
    from turned
    where lost_{{ days }}_date is not null
    {% endfor %}
),

-- What changes on a date, as numbers to add up: levels of activity reached and lost, being new for
-- 7 dates, being registered from one date to another.
steps as (

    select
        user_id,
        1 as registered_change,
        0 as new_change,
        0 as level_change,
        applies_from_date as step_date
    from registered

    union all

    select
        user_id,
        -1 as registered_change,
        0 as new_change,
        0 as level_change,
        applies_to_date as step_date
    from registered
    where applies_to_date < date '9999-12-31'

    union all

    select
        user_id,
        0 as registered_change,
        1 as new_change,
        0 as level_change,
        joined_date as step_date
    from people

    union all

    select
        user_id,
        0 as registered_change,
        -1 as new_change,
        0 as level_change,
        {{ date_add_days('joined_date', new_user_days()) }} as step_date
    from people

    union all

    select
        user_id,
        0 as registered_change,
        0 as new_change,
        level_change,
        step_date
    from turns

),

stepped as (

    select
        user_id,
        sum(registered_change) as registered_change,
        sum(new_change) as new_change,
        sum(level_change) as level_change,
        step_date
    from steps
    group by
        user_id,
        step_date

),

summed as (

    select
        user_id,
        {%- for name in ['registered', 'new', 'level'] %}
        sum({{ name }}_change) over (
            partition by user_id order by step_date
            rows between unbounded preceding and current row
        ) as {{ name }}_count,
        {%- endfor %}
        step_date
    from stepped

),

named as (

    select
        user_id,
        case
            when registered_count = 0 then 'unregistered'
            when new_count > 0 then 'new'
            {%- for name, least_days in activity_segments() %}
            when level_count >= {{ (activity_segments() | length) - loop.index }} then '{{ name }}'
            {%- endfor %}
        end as segment,
        step_date
    from summed

),

compared as (

    select
        user_id,
        segment,
        lag(segment) over (partition by user_id order by step_date) as segment_before,
        step_date
    from named

),

changed as (

    select
        user_id,
        segment,
        step_date as applies_from_date,
        lead(step_date) over (partition by user_id order by step_date) as applies_to_date
    from compared
    where segment_before is null
        or segment <> segment_before

),

final as (

    select
        user_id,
        segment,
        applies_from_date,
        coalesce(applies_to_date, date '9999-12-31') as applies_to_date
    from changed
    where segment <> 'unregistered'

)

select * from final
