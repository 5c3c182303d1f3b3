{# Grain: one row per month from the first event's to the current one (flagged).
   Keys: month_start.
   Incremental: activity of months that count a date of which a user-day changed, however old it is, or
   that is new in the calendar, and of the current one; subscriptions whole, from the paying spans.
   Rules: R7 (activity churn, subscription churn), R2, R1. #}
{%- set window_days = 28 %}
{{ incremental_fact(
    key='month_start', void='activity_base_users', dated_by='month_start',
    follows=['fct_user_days']
) }}
{%- set scope = fact_scope() %}
{%- set grouped_dates = dates_to_group(
    'fct_user_days', 'activity_date', 'month_start', calendar_date='month_start_date',
    condition='existing.month_start < (select max(latest.month_start) from ' ~ this ~ ' as latest)',
    always=is_last_date()
) if scope == 'some' %}
{#- A date counts in its own month and in that of 28 days later. #}
{%- set grouped_months = (
    periods_of_dates('month', grouped_dates)
    + periods_of_dates('month', dates_around(grouped_dates, -window_days, window_days))
) | unique | sort if scope == 'some' %}
with user_days as (

    select
        user_id,
        activity_date
    from {{ ref('fct_user_days') }}
    {%- if scope == 'some' %}
    where {{ date_is_among('activity_date', dates_around(
            dates_of_months(grouped_months), window_days, 0
        )) }}
    {%- endif %}

),

paying_spans as (

    select
        user_id,
        applies_from_month,
        applies_to_month
    from {{ ref('int_paying_spans') }}
    where applies_from_month < applies_to_month

),

dates as (

    select date_day
    from {{ ref('dim_dates') }}

),

months as (

    select
        cast(date_trunc('month', date_day) as date) as month_start,
        {{ date_add_days(
            date_add_periods('month', "cast(date_trunc('month', date_day) as date)", 1), -1
        ) }} <= {{ last_complete_date() }} as is_complete
    from dates
    group by cast(date_trunc('month', date_day) as date)

),

-- No month is shorter than the window, so a day lies in at most one month's last 28 days and, 28
-- days later, in at most one month's 28 before those: no day is looked at twice per month.
considered as (

    select
        user_days.user_id,
        0 as base_flag,
        1 as active_flag,
        user_days.activity_date as considered_date
    from user_days
    inner join dates
        on user_days.activity_date = dates.date_day

    union all

    select
        user_days.user_id,
        1 as base_flag,
        0 as active_flag,
        {{ date_add_days('user_days.activity_date', window_days) }} as considered_date
    from user_days
    inner join dates
        on user_days.activity_date = dates.date_day

),

user_months as (

    select
        user_id,
        max(base_flag) as base_flag,
        max(active_flag) as active_flag,
        cast(date_trunc('month', considered_date) as date) as month_start
    from considered
    where considered_date >= {{ date_add_days(
        date_add_periods('month', "cast(date_trunc('month', considered_date) as date)", 1),
        -window_days
    ) }}
    group by
        user_id,
        cast(date_trunc('month', considered_date) as date)

),

activity_churn as (

    select
        sum(base_flag) as base_users,
        sum(case when base_flag = 1 and active_flag = 0 then 1 else 0 end) as churned_users,
        month_start
    from user_months
    {%- if scope == 'some' %}
    where {{ date_is_among('month_start', grouped_months) }}
    {%- endif %}
    group by month_start

    {%- if scope == 'some' %}

    union all

    select
        activity_base_users as base_users,
        activity_churned_users as churned_users,
        month_start
    from {{ this }}
    where not {{ date_is_among('month_start', grouped_months) }}
    {%- endif %}

),

steps as (

    select
        user_id,
        1 as span_change,
        applies_from_month as step_month
    from paying_spans

    union all

    select
        user_id,
        -1 as span_change,
        applies_to_month as step_month
    from paying_spans
    where applies_to_month < date '9999-12-01'

),

stepped as (

    select
        user_id,
        sum(span_change) as span_change,
        step_month
    from steps
    group by
        user_id,
        step_month

),

summed as (

    select
        user_id,
        span_change,
        sum(span_change) over (
            partition by user_id order by step_month
            rows between unbounded preceding and current row
        ) as span_count,
        step_month
    from stepped

),

bounds as (

    select min(month_start) as first_month
    from months

),

-- Who pays at the start of a month and not at that of the month before has come, and the reverse;
-- so many pay as came less those who went.
paying_changes as (

    select
        sum(
            case
                when summed.span_count > 0 and summed.span_count = summed.span_change then 1
                else 0
            end
        ) as come_users,
        sum(
            case when summed.span_count = 0 and summed.span_change < 0 then 1 else 0 end
        ) as gone_users,
        greatest(summed.step_month, bounds.first_month) as step_month
    from summed
    cross join bounds
    group by greatest(summed.step_month, bounds.first_month)

),

counted as (

    select
        cast(coalesce(activity_churn.base_users, 0) as bigint) as activity_base_users,
        cast(coalesce(activity_churn.churned_users, 0) as bigint) as activity_churned_users,
        cast(
            sum(coalesce(paying_at_start.come_users - paying_at_start.gone_users, 0)) over (
                order by months.month_start rows between unbounded preceding and current row
            ) as bigint
        ) as subscription_base_users,
        cast(coalesce(paying_at_end.gone_users, 0) as bigint) as subscription_churned_users,
        months.is_complete,
        months.month_start
    from months
    left join activity_churn
        on months.month_start = activity_churn.month_start
    left join paying_changes as paying_at_start
        on months.month_start = paying_at_start.step_month
    left join paying_changes as paying_at_end
        on {{ date_add_periods('month', 'months.month_start', 1) }} = paying_at_end.step_month

),

final as (

    select
        activity_base_users,
        activity_churned_users,
        subscription_base_users,
        subscription_churned_users,
        {{ rate('activity_churned_users', 'activity_base_users') }} as activity_churn_rate,
        {{ rate(
            'subscription_churned_users', 'subscription_base_users'
        ) }} as subscription_churn_rate,
        is_complete,
        month_start
    from counted

)

{{ changed_rows('final', 'all') }}
