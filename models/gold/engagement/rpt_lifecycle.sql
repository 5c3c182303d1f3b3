{# Grain: one row per period grain (day, week, month) and period, the current one flagged.
   Keys: period_grain, period_start.
   Incremental: periods with a date of which a user-day changed, however old it is, or that is new in the
   calendar, and the current ones.
   Rules: R4 (new, returning, resurrected, dormant, quick ratio), R2, R1. #}
{%- set grains = ['day', 'week', 'month'] %}
{{ incremental_fact(
    key=['period_grain', 'period_start'], void='new_users', dated_by='period_start',
    follows=['fct_user_days']
) }}
{%- set scope = fact_scope() %}
{%- set latest_first_date = earliest_bound(
    ref('fct_user_days'), 'activity_date', 'date',
    "min(case when period_grain = 'day' then period_start end)"
) %}
{%- set grouped_dates = dates_to_group(
    'fct_user_days', 'activity_date', 'period_start',
    condition="existing.period_grain = 'day'", always=is_last_date(), since_first=true
) if scope == 'some' %}
with user_days as (

    select
        activity_date,
        previous_activity_date
    from {{ ref('fct_user_days') }}
    {%- if scope == 'some' %}
    -- A week lies in a month or two.
    where {{ date_is_among('activity_date', (
            dates_of_months(grouped_dates)
            + dates_around(periods_of_dates('week', grouped_dates), 0, 6)
        ) | unique | sort) }}
    {%- endif %}

),

first_user_days as (

    select activity_date
    from {{ ref('fct_user_days') }}
    where {{ is_within_bound('activity_date', latest_first_date) }}

),

dates as (

    select date_day
    from {{ ref('dim_dates') }}

),

-- Few rows, whatever the number of people: all grains are counted from them.
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

first_activity as (

    select min(activity_date) as first_date
    from first_user_days

),

-- Activity after the calendar's end (an as-of in the past) is in no period yet.
grained_pairs as (
    {% for grain in grains %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        '{{ grain }}' as period_grain,
        cast(date_trunc('{{ grain }}', pairs.activity_date) as date) as period_start,
        {{ date_add_periods(
            grain, "cast(date_trunc('" ~ grain ~ "', pairs.activity_date) as date)", -1
        ) }} as period_before_start,
        pairs.previous_activity_date,
        pairs.user_count
    from pairs
    inner join dates
        on pairs.activity_date = dates.date_day
    {% endfor %}
),

-- A user counts in a period on their first active day of it, the one that follows an earlier period
-- or nothing.
entered as (

    select
        period_grain,
        period_start,
        sum(case when previous_activity_date is null then user_count else 0 end) as new_users,
        sum(
            case when previous_activity_date >= period_before_start then user_count else 0 end
        ) as returning_users,
        sum(
            case when previous_activity_date < period_before_start then user_count else 0 end
        ) as resurrected_users
    from grained_pairs
    where previous_activity_date is null
        or previous_activity_date < period_start
    group by
        period_grain,
        period_start

),
{% if scope == 'some' %}
{%- set is_grouped = period_is_among('period_grain', 'period_start', grains, grouped_dates) %}
counted as (

    select *
    from entered
    where {{ is_grouped }}

    union all

    select
        period_grain,
        period_start,
        new_users,
        returning_users,
        resurrected_users
    from {{ this }}
    where not {{ is_grouped }}

),
{% else %}
counted as (

    select *
    from entered

),
{% endif %}
periods as (
    {% for grain in grains %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select distinct
        '{{ grain }}' as period_grain,
        cast(date_trunc('{{ grain }}', dates.date_day) as date) as period_start,
        {{ date_add_days(
            date_add_periods(
                grain, "cast(date_trunc('" ~ grain ~ "', dates.date_day) as date)", 1
            ),
            -1
        ) }} as period_end
    from dates
    inner join first_activity
        on dates.date_day >= first_activity.first_date
    {% endfor %}
),

dense as (

    select
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        cast(coalesce(counted.new_users, 0) as bigint) as new_users,
        cast(coalesce(counted.returning_users, 0) as bigint) as returning_users,
        cast(coalesce(counted.resurrected_users, 0) as bigint) as resurrected_users,
        cast(
            coalesce(counted.new_users + counted.returning_users + counted.resurrected_users, 0)
            as bigint
        ) as active_users
    from periods
    left join counted
        on periods.period_grain = counted.period_grain
            and periods.period_start = counted.period_start

),

-- Who was active in the period before and did not return has gone dormant: nobody has to be looked
-- up who is not there.
compared as (

    select
        period_grain,
        period_start,
        period_end,
        new_users,
        returning_users,
        resurrected_users,
        coalesce(
            lag(active_users) over (partition by period_grain order by period_start), 0
        ) - returning_users as dormant_users,
        active_users
    from dense

),

final as (

    select
        period_grain,
        new_users,
        returning_users,
        resurrected_users,
        dormant_users,
        active_users,
        {{ rate('(new_users + resurrected_users)', 'dormant_users') }} as quick_ratio,
        period_end <= {{ last_complete_date() }} as is_complete,
        period_start
    from compared

)

{{ changed_rows('final', 'all') }}
