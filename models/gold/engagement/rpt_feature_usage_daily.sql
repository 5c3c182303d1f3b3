{# Grain: one row per feature and business date (first event to the date of as-of), with zeros.
   Keys: feature, activity_date.
   Incremental: dates whose 28 days hold a date of which an event changed, however old it is, and those
   new in the calendar; the sweep then sees the dates of their windows alone.
   Rules: R10 (users, uses, adoption), R2 (known people only), R3 (28 days), R1. #}
{%- set window_days = 28 %}
{{ incremental_fact(
    key=['feature', 'activity_date'], void='use_count', dated_by='activity_date',
    follows=['fct_events']
) }}
{%- set scope = fact_scope() %}
{%- set grouped_dates = dates_around(
    dates_to_group('fct_events', 'event_date', 'activity_date'), 0, window_days - 1
) if scope == 'some' %}
with events as (

    select
        user_id,
        feature,
        event_date
    from {{ ref('fct_events') }}
    where feature is not null
        and user_id is not null
        and not is_internal
    {%- if scope == 'some' %}
        and {{ date_is_among('event_date', dates_around(grouped_dates, window_days - 1, 0)) }}
    {%- endif %}

),

active_users as (

    select
        active_users_28d,
        activity_date
    from {{ ref('rpt_active_users_daily') }}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

user_days as (

    select
        user_id,
        feature,
        event_date,
        count(*) as use_count
    from events
    group by
        user_id,
        feature,
        event_date

),

followed as (

    select
        feature,
        use_count,
        event_date,
        lead(event_date) over (
            partition by user_id, feature order by event_date
        ) as next_event_date
    from user_days

),

-- The interval sweep of rpt_active_users_daily, by feature: a day of use d counts on
-- [d, min(next day of use, d + 28)), so one is added on d and taken away where that ends.
gaps as (

    select
        feature,
        coalesce(
            least({{ periods_between('day', 'event_date', 'next_event_date') }}, {{ window_days }}),
            {{ window_days }}
        ) as gap_days,
        count(*) as user_count,
        sum(use_count) as use_count,
        event_date
    from followed
    group by
        feature,
        event_date,
        coalesce(
            least({{ periods_between('day', 'event_date', 'next_event_date') }}, {{ window_days }}),
            {{ window_days }}
        )

),

steps as (

    select
        feature,
        use_count,
        user_count,
        user_count as users_change,
        event_date as step_date
    from gaps

    union all

    select
        feature,
        0 as use_count,
        0 as user_count,
        -user_count as users_change,
        {{ date_add_days('event_date', 'gap_days') }} as step_date
    from gaps

),

stepped as (

    select
        feature,
        sum(use_count) as use_count,
        sum(user_count) as user_count,
        sum(users_change) as users_change,
        step_date
    from steps
    group by
        feature,
        step_date

),

swept_features as (

    select distinct feature
    from gaps

),

swept as (

    select
        swept_features.feature,
        cast(coalesce(stepped.use_count, 0) as bigint) as use_count,
        cast(coalesce(stepped.user_count, 0) as bigint) as user_count,
        cast(
            sum(coalesce(stepped.users_change, 0)) over (
                partition by swept_features.feature order by dates.date_day
                rows between unbounded preceding and current row
            ) as bigint
        ) as users_28d,
        dates.date_day
    from swept_features
    cross join dates
    left join stepped
        on swept_features.feature = stepped.feature
            and dates.date_day = stepped.step_date

),

counted as (

    select *
    from swept
    {%- if scope == 'some' %}
    where {{ date_is_among('date_day', grouped_dates) }}

    union all

    select
        feature,
        use_count,
        user_count,
        users_28d,
        activity_date as date_day
    from {{ this }}
    where not {{ date_is_among('activity_date', grouped_dates) }}
    {%- endif %}

),

-- A feature that is used on no date of the calendar has no zeros either.
features as (

    select distinct counted.feature
    from counted
    inner join dates
        on counted.date_day = dates.date_day
    where counted.use_count > 0

),

dense as (

    select
        features.feature,
        coalesce(counted.use_count, 0) as use_count,
        coalesce(counted.user_count, 0) as user_count,
        coalesce(counted.users_28d, 0) as users_28d,
        dates.is_complete,
        dates.date_day
    from features
    cross join dates
    left join counted
        on features.feature = counted.feature
            and dates.date_day = counted.date_day

),

final as (

    select
        dense.feature,
        dense.use_count,
        dense.user_count,
        dense.users_28d,
        coalesce(active_users.active_users_28d, 0) as active_users_28d,
        {{ rate('dense.users_28d', 'active_users.active_users_28d') }} as adoption_rate,
        dense.is_complete,
        dense.date_day as activity_date
    from dense
    left join active_users
        on dense.date_day = active_users.activity_date

)

{{ changed_rows('final', 'all') }}
