{# R14: everybody active has one value of each dimension, so the values of a dimension add up to the
   daily report, in every window.
   Fails when: a span of a person overlaps another of theirs, or a date of activity lies in none.
   Who fixes it: growth. #}
{%- set windows = [1, 7, 28, 30] -%}
with by_dimension as (

    select
        dimension_name,
        {%- for days in windows %}
        sum(active_users_{{ days }}d) as active_users_{{ days }}d,
        {%- endfor %}
        activity_date
    from {{ ref('rpt_active_users_by_dimension') }}
    group by
        dimension_name,
        activity_date

),

daily as (

    select
        {%- for days in windows %}
        active_users_{{ days }}d,
        {%- endfor %}
        activity_date
    from {{ ref('rpt_active_users_daily') }}

),

dimension_names as (

    select distinct dimension_name
    from by_dimension

),

compared as (
    {% for days in windows %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        dimension_names.dimension_name,
        {{ days }} as window_days,
        daily.active_users_{{ days }}d as active_users,
        coalesce(by_dimension.active_users_{{ days }}d, 0) as added_users,
        daily.activity_date
    from daily
    cross join dimension_names
    left join by_dimension
        on daily.activity_date = by_dimension.activity_date
            and dimension_names.dimension_name = by_dimension.dimension_name
    {% endfor %}
)

select
    dimension_name,
    window_days,
    active_users,
    added_users,
    activity_date
from compared
where active_users <> added_users
