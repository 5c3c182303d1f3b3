{# Grain: one row per business date from the first activity to the date of as-of (flagged).
   Keys: activity_date.
   Incremental: none; rebuilt whole from the daily sign-up cohorts of rpt_retention.
   Rules: R6 (headline: 28 consecutive daily cohorts, weighted by size, mature only). #}
{%- set headline_days = [1, 7, 30] -%}
{%- set cohorts_averaged = 28 -%}

with retention as (

    select
        period_number,
        cohort_size,
        retained_users,
        cohort_start
    from {{ ref('rpt_retention') }}
    where cohort_basis = 'signup'
        and cohort_grain = 'day'
        and retention_mode = 'on'
        and is_mature
        and period_number in ({{ headline_days | join(', ') }})

),

dates as (

    select
        activity_date,
        is_complete
    from {{ ref('rpt_active_users_daily') }}

),

-- The cohort of date c is in the average of the dates [c + N, c + N + 28): it is added where that
-- begins and taken away where it ends.
steps as (

    select
        period_number,
        cohort_size,
        retained_users,
        {{ date_add_days('cohort_start', 'period_number') }} as step_date
    from retention

    union all

    select
        period_number,
        -cohort_size as cohort_size,
        -retained_users as retained_users,
        {{ date_add_days(
            'cohort_start', 'period_number + ' ~ cohorts_averaged
        ) }} as step_date
    from retention

    -- Every date of the report takes part, with nothing to add; so do cohorts older than them all.
    union all

    select
        cast(null as integer) as period_number,
        0 as cohort_size,
        0 as retained_users,
        activity_date as step_date
    from dates

),

stepped as (

    select
        {%- for days in headline_days %}
        sum(
            case when period_number = {{ days }} then cohort_size else 0 end
        ) as size_{{ days }}d,
        sum(
            case when period_number = {{ days }} then retained_users else 0 end
        ) as retained_{{ days }}d,
        {%- endfor %}
        step_date
    from steps
    group by step_date

),

summed as (

    select
        {%- for days in headline_days %}
        cast(
            sum(size_{{ days }}d) over (
                order by step_date rows between unbounded preceding and current row
            ) as bigint
        ) as cohort_{{ days }}d_users,
        cast(
            sum(retained_{{ days }}d) over (
                order by step_date rows between unbounded preceding and current row
            ) as bigint
        ) as retained_{{ days }}d_users,
        {%- endfor %}
        step_date
    from stepped

),

final as (

    select
        {%- for days in headline_days %}
        summed.cohort_{{ days }}d_users,
        {%- endfor %}
        {%- for days in headline_days %}
        summed.retained_{{ days }}d_users,
        {%- endfor %}
        {%- for days in headline_days %}
        {{ rate(
            'summed.retained_' ~ days ~ 'd_users', 'summed.cohort_' ~ days ~ 'd_users'
        ) }} as retention_{{ days }}d_rate,
        {%- endfor %}
        dates.is_complete,
        dates.activity_date
    from dates
    inner join summed
        on dates.activity_date = summed.step_date

)

select * from final
