{# Grain: one row per business date from the first activity to the date of as-of (flagged).
   Keys: activity_date.
   Incremental: none; rebuilt whole by one sweep over the user-days.
   Rules: R3 (rolling actives, exact), R2, R1. #}
{%- set windows = [1, 7, 28, 30] -%}

with user_days as (

    select
        user_id,
        activity_date
    from {{ ref('fct_user_days') }}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

followed as (

    select
        activity_date,
        lead(activity_date) over (
            partition by user_id order by activity_date
        ) as next_activity_date,
        case
            when lag(activity_date) over (partition by user_id order by activity_date) is null
                then 1
            else 0
        end as is_first
    from user_days

),

-- How many active days of a date are followed by another after so many days; further than the
-- longest window is all the same.
gaps as (

    select
        activity_date,
        coalesce(
            least(
                {{ periods_between('day', 'activity_date', 'next_activity_date') }},
                {{ windows[-1] }}
            ),
            {{ windows[-1] }}
        ) as gap_days,
        count(*) as active_count,
        sum(is_first) as new_count
    from followed
    group by
        activity_date,
        coalesce(
            least(
                {{ periods_between('day', 'activity_date', 'next_activity_date') }},
                {{ windows[-1] }}
            ),
            {{ windows[-1] }}
        )

),

-- The interval sweep: an active day d counts in the window of N days on [d, min(next day, d + N)).
-- It adds one where that opens and takes one away where it closes; running sums do the rest, so no
-- date is ever joined to the dates before it.
steps as (

    select
        activity_date as step_date,
        {%- for days in windows %}
        active_count as opened_{{ days }}d,
        0 as closed_{{ days }}d,
        {%- endfor %}
        new_count
    from gaps

    {% for days in windows %}
    union all

    select
        {{ date_add_days('activity_date', 'least(gap_days, ' ~ days ~ ')') }} as step_date,
        {%- for other in windows %}
        0 as opened_{{ other }}d,
        {{ 'active_count' if other == days else '0' }} as closed_{{ other }}d,
        {%- endfor %}
        0 as new_count
    from gaps
    {% endfor %}
),

stepped as (

    select
        step_date,
        {%- for days in windows %}
        sum(opened_{{ days }}d - closed_{{ days }}d) as change_{{ days }}d,
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
    from user_days

),

final as (

    select
        {%- for days in windows %}
        counted.active_users_{{ days }}d,
        {%- endfor %}
        counted.new_users,
        {{ rate('counted.active_users_1d', 'counted.active_users_28d') }} as stickiness_rate,
        counted.is_complete,
        counted.date_day as activity_date
    from counted
    inner join first_activity
        on counted.date_day >= first_activity.first_date

)

select * from final
