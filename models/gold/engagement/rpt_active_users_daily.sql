{# Grain: one row per business date from the first activity to the date of as-of (flagged).
   Keys: activity_date.
   Incremental: dates whose windows hold a date of which a user-day changed, however old it is, and those
   new in the calendar; the sweep then sees the dates of their windows alone.
   Rules: R3 (rolling actives, exact), R2, R1. #}
{%- set windows = [1, 7, 28, 30] %}
{{ incremental_fact(
    key='activity_date', void='new_users', dated_by='activity_date', follows=['fct_user_days']
) }}
{%- set scope = fact_scope() %}
{%- set latest_first_date = earliest_bound(
    ref('fct_user_days'), 'activity_date', 'date', 'min(activity_date)'
) %}
{%- set grouped_dates = dates_around(
    dates_to_group('fct_user_days', 'activity_date', 'activity_date', since_first=true),
    0,
    windows | max - 1
) if scope == 'some' %}
with user_days as (

    select
        activity_date,
        previous_activity_date
    from {{ ref('fct_user_days') }}
    {%- if scope == 'some' %}
    where {{ date_is_among('activity_date', dates_around(grouped_dates, windows | max - 1, 0)) }}
    {%- endif %}

),

first_user_days as (

    select activity_date
    from {{ ref('fct_user_days') }}
    where {{ is_within_bound('activity_date', latest_first_date) }}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

-- Few rows, whatever the number of people: nothing is computed for each user-day.
pairs as (

    select
        activity_date,
        previous_activity_date,
        count(*) as user_count
    from user_days
    group by
        activity_date,
        previous_activity_date

),

-- The interval sweep: with an active day d after one on p, the window of N days holds the person
-- anew on [max(d, p + N), d + N). It adds one where that opens and takes one away where it closes;
-- running sums do the rest, so no date is ever joined to the dates before it.
steps as (

    select
        activity_date as step_date,
        {%- for days in windows %}
        0 as change_{{ days }}d,
        {%- endfor %}
        user_count as new_count
    from pairs
    where previous_activity_date is null

    {% for days in windows %}
    union all

    select
        coalesce(
            greatest(activity_date, {{ date_add_days('previous_activity_date', days) }}),
            activity_date
        ) as step_date,
        {%- for other in windows %}
        {{ 'user_count' if other == days else '0' }} as change_{{ other }}d,
        {%- endfor %}
        0 as new_count
    from pairs

    union all

    select
        {{ date_add_days('activity_date', days) }} as step_date,
        {%- for other in windows %}
        {{ '-user_count' if other == days else '0' }} as change_{{ other }}d,
        {%- endfor %}
        0 as new_count
    from pairs
    {% endfor %}
),

stepped as (

    select
        step_date,
        {%- for days in windows %}
        sum(change_{{ days }}d) as change_{{ days }}d,
        {%- endfor %}
        sum(new_count) as new_users
    from steps
    group by step_date

),

-- Steps on dates that the calendar does not hold (an as-of in the past) come after all it holds.
counted as (

    select
        dates.date_day,
        dates.is_complete,
        {%- for days in windows %}
        cast(
            sum(coalesce(stepped.change_{{ days }}d, 0)) over (
                order by dates.date_day rows between unbounded preceding and current row
            ) as bigint
        ) as active_users_{{ days }}d,
        {%- endfor %}
        cast(coalesce(stepped.new_users, 0) as bigint) as new_users
    from dates
    left join stepped
        on dates.date_day = stepped.step_date

),

first_activity as (

    select min(activity_date) as first_date
    from first_user_days

),
{% if scope == 'some' %}
-- A date that is in neither was never in anybody's window.
reported as (

    select
        dates.date_day,
        dates.is_complete,
        {%- for days in windows %}
        coalesce(existing.active_users_{{ days }}d, 0) as active_users_{{ days }}d,
        {%- endfor %}
        coalesce(existing.new_users, 0) as new_users
    from dates
    left join {{ this }} as existing
        on dates.date_day = existing.activity_date
    where not {{ date_is_among('dates.date_day', grouped_dates) }}

    union all

    select *
    from counted
    where {{ date_is_among('date_day', grouped_dates) }}

),
{% else %}
reported as (

    select *
    from counted

),
{% endif %}
final as (

    select
        {%- for days in windows %}
        reported.active_users_{{ days }}d,
        {%- endfor %}
        reported.new_users,
        {{ rate('reported.active_users_1d', 'reported.active_users_28d') }} as stickiness_rate,
        reported.is_complete,
        reported.date_day as activity_date
    from reported
    inner join first_activity
        on reported.date_day >= first_activity.first_date

)

{{ changed_rows('final', 'all') }}
