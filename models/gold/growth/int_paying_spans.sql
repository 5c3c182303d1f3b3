{# Grain: one row per subscription and span of time in which it was paid for at one price.
   Keys: subscription_id, valid_from.
   Incremental: none; rebuilt whole from the histories of subscriptions and prices.
   Rules: R7 (paying, price of the time, currency), R2 (internal users), R1 (months). #}
with subscription_versions as (

    select
        subscription_id,
        user_id,
        plan_id,
        status,
        _version,
        started_at,
        canceled_at,
        _valid_from,
        _valid_to
    from {{ ref('hist_dms__subscriptions') }}
    where user_id is not null

),

-- What the first version says also holds before it.
price_versions as (

    select
        plan_id,
        monthly_price_cents,
        case
            when _version = 1 then timestamp '0001-01-01 00:00:00' else _valid_from
        end as applies_from,
        coalesce(_valid_to, timestamp '9999-12-31 00:00:00') as applies_to
    from {{ ref('hist_dms__plans') }}

),

plans as (

    select
        plan_id,
        plan_code
    from {{ ref('dim_plans') }}

),

payments as (

    select
        payment_id,
        user_id,
        subscription_id,
        currency,
        created_at
    from {{ ref('fct_payments') }}
    where currency is not null

),

internal_users as (

    select user_id
    from {{ ref('dim_users') }}
    where is_internal

),

charged as (

    select
        subscription_id,
        user_id,
        plan_id,
        _valid_from as charged_from,
        coalesce(_valid_to, timestamp '9999-12-31 00:00:00') as charged_to
    from subscription_versions
    where status in ('active', 'past_due')

    union all

    -- Before its history begins a subscription was paid for from its start to its cancellation; one
    -- that is on trial when its history begins was on trial before.
    select
        subscription_id,
        user_id,
        plan_id,
        started_at as charged_from,
        least(_valid_from, coalesce(canceled_at, _valid_from)) as charged_to
    from subscription_versions
    where _version = 1
        and coalesce(status, '') <> 'trialing'
        and started_at < least(_valid_from, coalesce(canceled_at, _valid_from))

),

-- Neither subscriptions nor prices name a currency: the payments do. The first one decides, so that
-- a later payment restates nothing.
numbered_payments as (

    select
        user_id,
        subscription_id,
        currency,
        row_number() over (
            partition by subscription_id order by created_at nulls last, payment_id
        ) as subscription_place,
        row_number() over (
            partition by user_id order by created_at nulls last, payment_id
        ) as user_place
    from payments

),

subscription_currencies as (

    select
        subscription_id,
        currency
    from numbered_payments
    where subscription_place = 1
        and subscription_id is not null

),

user_currencies as (

    select
        user_id,
        currency
    from numbered_payments
    where user_place = 1
        and user_id is not null

),

priced as (

    select
        charged.subscription_id,
        charged.user_id,
        charged.plan_id,
        coalesce(
            subscription_currencies.currency, user_currencies.currency, 'unknown'
        ) as currency,
        price_versions.monthly_price_cents,
        greatest(charged.charged_from, price_versions.applies_from) as valid_from,
        least(charged.charged_to, price_versions.applies_to) as valid_to
    from charged
    inner join price_versions
        on charged.plan_id = price_versions.plan_id
            and charged.charged_from < price_versions.applies_to
            and charged.charged_to > price_versions.applies_from
    left join subscription_currencies
        on charged.subscription_id = subscription_currencies.subscription_id
    left join user_currencies
        on charged.user_id = user_currencies.user_id
    left join internal_users
        on charged.user_id = internal_users.user_id
    where price_versions.monthly_price_cents > 0
        and internal_users.user_id is null

),

dated as (

    select
        subscription_id,
        user_id,
        plan_id,
        currency,
        monthly_price_cents,
        cast(date_trunc('month', {{ business_date('valid_from') }}) as date) as from_month,
        cast(date_trunc('month', {{ business_date('valid_to') }}) as date) as to_month,
        valid_from,
        valid_to
    from priced

),

-- A span holds at the first instant of the months [applies_from_month, applies_to_month): it begins
-- with its own month only where it is there at that month's first instant.
final as (

    select
        dated.subscription_id,
        dated.user_id,
        dated.currency,
        coalesce(plans.plan_code, 'unknown') as plan_code,
        dated.monthly_price_cents,
        case
            when dated.valid_from <= {{ business_date_end(date_add_days('dated.from_month', -1)) }}
                then dated.from_month
            else {{ date_add_periods('month', 'dated.from_month', 1) }}
        end as applies_from_month,
        case
            when dated.valid_to = timestamp '9999-12-31 00:00:00' then date '9999-12-01'
            when dated.valid_to <= {{ business_date_end(date_add_days('dated.to_month', -1)) }}
                then dated.to_month
            else {{ date_add_periods('month', 'dated.to_month', 1) }}
        end as applies_to_month,
        dated.valid_from,
        case
            when dated.valid_to < timestamp '9999-12-31 00:00:00' then dated.valid_to
        end as valid_to
    from dated
    left join plans
        on dated.plan_id = plans.plan_id

)

select * from final
