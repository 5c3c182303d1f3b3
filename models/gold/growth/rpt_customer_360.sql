{# Grain: one row per non-internal person who ever signed up or was active.
   Keys: user_id.
   Incremental: none; rebuilt whole.
   Rules: R4 (lifecycle), R7 (MRR), R10 (feature), R13 (segment), R14 (plan), R15 (LTV), R2. #}
with people as (

    select
        user_id,
        signup_date,
        first_active_date,
        last_active_date
    from {{ ref('int_user_cohorts') }}

),

users as (

    select
        user_id,
        email_pseudonym,
        region,
        country,
        language,
        acquisition_channel,
        is_deleted
    from {{ ref('dim_users') }}

),

user_history as (

    select
        user_id,
        plan_code
    from {{ ref('dim_users_history') }}
    where is_current

),

user_segments as (

    select
        user_id,
        segment
    from {{ ref('int_user_segments') }}
    where applies_from_date <= {{ last_complete_date() }}
        and applies_to_date > {{ last_complete_date() }}

),

user_days as (

    select
        user_id,
        platform,
        message_count,
        activity_date
    from {{ ref('fct_user_days') }}
    where activity_date <= {{ last_complete_date() }}

),

sessions as (

    select
        user_id,
        duration_seconds
    from {{ ref('fct_sessions') }}
    where user_id is not null
        and session_date <= {{ last_complete_date() }}

),

feature_events as (

    select
        user_id,
        feature
    from {{ ref('fct_events') }}
    where feature is not null
        and user_id is not null
        and is_active_signal
        and not is_internal
        and event_date <= {{ last_complete_date() }}

),

payments as (

    select
        user_id,
        currency,
        amount_cents,
        paid_at
    from {{ ref('fct_payments') }}
    where is_paid
        and user_id is not null
        and currency is not null

),

paying_spans as (

    select
        user_id,
        currency,
        monthly_price_cents,
        applies_from_month,
        applies_to_month
    from {{ ref('int_paying_spans') }}

),

-- The last week that is over, and the month after the current one, whose opening is MRR by now.
calendar as (

    select
        {{ date_add_days(
            "cast(date_trunc('week', "
            ~ date_add_days(last_complete_date(), 1) ~ ') as date)', -7
        ) }} as week_start,
        {{ date_add_periods(
            'month',
            "cast(date_trunc('month', " ~ date_add_days(last_complete_date(), 1) ~ ') as date)', 1
        ) }} as next_month

),

numbered_days as (

    select
        user_days.user_id,
        user_days.platform,
        user_days.message_count,
        row_number() over (
            partition by user_days.user_id order by user_days.activity_date desc
        ) as place,
        case
            when user_days.activity_date >= calendar.week_start
                and user_days.activity_date < {{ date_add_days('calendar.week_start', 7) }} then 1
            else 0
        end as in_week,
        case
            when user_days.activity_date >= {{ date_add_days('calendar.week_start', -7) }}
                and user_days.activity_date < calendar.week_start then 1
            else 0
        end as in_week_before,
        case
            when user_days.activity_date >= {{ date_add_days(last_complete_date(), -27) }} then 1
            else 0
        end as in_28_days,
        user_days.activity_date
    from user_days
    cross join calendar

),

activity as (

    select
        user_id,
        max(case when place = 1 then platform end) as platform,
        count(*) as active_day_count,
        sum(in_28_days) as active_days_28d_count,
        sum(message_count) as message_count,
        max(in_week) as in_week,
        max(in_week_before) as in_week_before,
        min(activity_date) as first_active_date
    from numbered_days
    group by user_id

),

session_totals as (

    select
        user_id,
        count(*) as session_count,
        sum(duration_seconds) as session_seconds
    from sessions
    group by user_id

),

feature_uses as (

    select
        user_id,
        feature,
        count(*) as use_count
    from feature_events
    group by
        user_id,
        feature

),

favourites as (

    select
        user_id,
        feature,
        row_number() over (partition by user_id order by use_count desc, feature asc) as place
    from feature_uses

),

amounts as (

    select
        user_id,
        currency,
        0 as mrr_cents,
        amount_cents as ltv_cents,
        1 as payment_count,
        paid_at
    from payments

    union all

    select
        paying_spans.user_id,
        paying_spans.currency,
        paying_spans.monthly_price_cents as mrr_cents,
        0 as ltv_cents,
        0 as payment_count,
        cast(null as timestamp) as paid_at
    from paying_spans
    inner join calendar
        on paying_spans.applies_from_month <= calendar.next_month
            and paying_spans.applies_to_month > calendar.next_month

),

money as (

    select
        user_id,
        currency,
        sum(mrr_cents) as mrr_cents,
        sum(ltv_cents) as ltv_cents,
        sum(payment_count) as payment_count,
        max(paid_at) as last_paid_at
    from amounts
    group by
        user_id,
        currency

),

-- Currencies are never added together: the amounts shown are those of the currency in which the
-- person pays by now, else of the one in which they paid last.
ranked_money as (

    select
        user_id,
        currency,
        mrr_cents,
        ltv_cents,
        payment_count,
        count(*) over (partition by user_id) as currency_count,
        row_number() over (
            partition by user_id
            order by
                case when mrr_cents > 0 then 0 else 1 end asc,
                last_paid_at desc nulls last,
                currency asc
        ) as place,
        last_paid_at
    from money

),

final as (

    select
        people.user_id,
        cast(people.user_id as varchar) as user_key,
        users.email_pseudonym,
        coalesce(users.region, 'unknown') as region,
        coalesce(users.country, 'unknown') as country,
        coalesce(users.language, 'unknown') as language,
        coalesce(users.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(user_history.plan_code, 'unknown') as plan_code,
        coalesce(activity.platform, 'unknown') as platform,
        coalesce(user_segments.segment, 'unknown') as segment,
        case
            when activity.in_week = 1 and activity.first_active_date >= calendar.week_start
                then 'new'
            when activity.in_week = 1 and activity.in_week_before = 1 then 'returning'
            when activity.in_week = 1 then 'resurrected'
            when activity.in_week_before = 1 then 'dormant'
            else 'inactive'
        end as lifecycle_stage,
        favourites.feature as favourite_feature,
        ranked_money.currency,
        cast(coalesce(ranked_money.currency_count, 0) as bigint) as currency_count,
        cast(coalesce(activity.active_day_count, 0) as bigint) as active_day_count,
        cast(coalesce(activity.active_days_28d_count, 0) as bigint) as active_days_28d_count,
        cast(coalesce(session_totals.session_count, 0) as bigint) as session_count,
        cast(coalesce(session_totals.session_seconds, 0) as bigint) as session_seconds,
        cast(coalesce(activity.message_count, 0) as bigint) as message_count,
        cast(coalesce(ranked_money.payment_count, 0) as bigint) as payment_count,
        cast(coalesce(ranked_money.mrr_cents, 0) as bigint) as mrr_cents,
        cast(coalesce(ranked_money.ltv_cents, 0) as bigint) as ltv_cents,
        users.user_id is not null as is_landed,
        coalesce(users.is_deleted, false) as is_deleted,
        people.signup_date,
        people.first_active_date,
        people.last_active_date,
        ranked_money.last_paid_at
    from people
    cross join calendar
    left join users
        on people.user_id = users.user_id
    left join user_history
        on people.user_id = user_history.user_id
    left join user_segments
        on people.user_id = user_segments.user_id
    left join activity
        on people.user_id = activity.user_id
    left join session_totals
        on people.user_id = session_totals.user_id
    left join favourites
        on people.user_id = favourites.user_id
            and favourites.place = 1
    left join ranked_money
        on people.user_id = ranked_money.user_id
            and ranked_money.place = 1

)

select * from final
