{# Grain: one row per registered, non-internal person and span of dates in one segment.
   Keys: user_id, applies_from_date.
   Incremental: none; rebuilt whole by one sweep over each person's dates.
   Rules: R13 (segments, first match wins), R2. #}
{%- set window_days = 28 -%}

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

-- What changes on a date, as numbers to add up: an active day counts for 28 dates, being new for 7,
-- being registered from one date to another.
steps as (

    select
        user_id,
        1 as registered_change,
        0 as new_change,
        0 as active_change,
        applies_from_date as step_date
    from registered

    union all

    select
        user_id,
        -1 as registered_change,
        0 as new_change,
        0 as active_change,
        applies_to_date as step_date
    from registered
    where applies_to_date < date '9999-12-31'

    union all

    select
        user_id,
        0 as registered_change,
        1 as new_change,
        0 as active_change,
        joined_date as step_date
    from people

    union all

    select
        user_id,
        0 as registered_change,
        -1 as new_change,
        0 as active_change,
        {{ date_add_days('joined_date', new_user_days()) }} as step_date
    from people

    union all

    select
        user_id,
        0 as registered_change,
        0 as new_change,
        1 as active_change,
        activity_date as step_date
    from user_days

    union all

    select
        user_id,
        0 as registered_change,
        0 as new_change,
        -1 as active_change,
        {{ date_add_days('activity_date', window_days) }} as step_date
    from user_days

),

stepped as (

    select
        user_id,
        sum(registered_change) as registered_change,
        sum(new_change) as new_change,
        sum(active_change) as active_change,
        step_date
    from steps
    group by
        user_id,
        step_date

),

summed as (

    select
        user_id,
        {%- for name in ['registered', 'new', 'active'] %}
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
            when active_count >= {{ least_days }} then '{{ name }}'
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
