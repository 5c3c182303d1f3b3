{# Grain: one row per user and span of time in which neither row nor subscription changed.
   Keys: user_id, version_number.
   Incremental: none; rebuilt whole from the histories.
   Rules: R14 (region, country and plan at a date's end), R1. #}
with user_versions as (

    select
        user_id,
        region,
        country,
        language,
        acquisition_channel,
        status,
        _version,
        created_at,
        _valid_from,
        _valid_to,
        -- What the first version says also holds before it. Values instead of NULL for "ever" keep
        -- the joins below plain comparisons.
        case
            when _version = 1 then timestamp '0001-01-01 00:00:00' else _valid_from
        end as applies_from,
        coalesce(_valid_to, timestamp '9999-12-31 00:00:00') as applies_to
    from {{ ref('hist_dms__users') }}

),

subscription_versions as (

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

),

plans as (

    select
        plan_id,
        plan_code
    from {{ ref('dim_plans') }}

),

held as (

    select
        subscription_id,
        user_id,
        plan_id,
        started_at,
        _valid_from as held_from,
        coalesce(_valid_to, timestamp '9999-12-31 00:00:00') as held_to
    from subscription_versions
    where status in ('trialing', 'active', 'past_due')

    union all

    -- Before its history begins (it was there when the first load landed) a subscription was held
    -- from its start to its cancellation, whatever its status is by now.
    select
        subscription_id,
        user_id,
        plan_id,
        started_at,
        started_at as held_from,
        least(_valid_from, coalesce(canceled_at, _valid_from)) as held_to
    from subscription_versions
    where _version = 1
        and started_at < least(_valid_from, coalesce(canceled_at, _valid_from))

),

first_versions as (

    select
        user_id,
        least(_valid_from, coalesce(created_at, _valid_from)) as known_from
    from user_versions
    where _version = 1

),

moments as (

    select
        user_id,
        known_from as changed_at
    from first_versions

    union distinct

    select
        user_id,
        _valid_from as changed_at
    from user_versions

    union distinct

    select
        user_id,
        _valid_to as changed_at
    from user_versions
    where _valid_to is not null

    union distinct

    select
        user_id,
        held_from as changed_at
    from held

    union distinct

    select
        user_id,
        held_to as changed_at
    from held
    where held_to < timestamp '9999-12-31 00:00:00'

),

spans as (

    select
        user_id,
        changed_at as valid_from,
        lead(changed_at) over (partition by user_id order by changed_at) as valid_to
    from moments

),

-- A span without a version (deleted, then back) is described by none and drops out.
described as (

    select
        spans.user_id,
        user_versions.region,
        user_versions.country,
        user_versions.language,
        user_versions.acquisition_channel,
        user_versions.status,
        spans.valid_from,
        spans.valid_to
    from spans
    inner join user_versions
        on spans.user_id = user_versions.user_id
            and spans.valid_from >= user_versions.applies_from
            and spans.valid_from < user_versions.applies_to

),

-- Of several subscriptions held at once the latest counts; the greater id when they began together.
subscribed as (

    select
        described.user_id,
        described.region,
        described.country,
        described.language,
        described.acquisition_channel,
        described.status,
        held.subscription_id,
        held.plan_id,
        row_number() over (
            partition by described.user_id, described.valid_from
            order by held.started_at desc nulls last, held.subscription_id desc nulls last
        ) as preference,
        described.valid_from,
        described.valid_to
    from described
    left join held
        on described.user_id = held.user_id
            and described.valid_from >= held.held_from
            and described.valid_from < held.held_to

),

numbered as (

    select
        subscribed.user_id,
        subscribed.region,
        subscribed.country,
        subscribed.language,
        subscribed.acquisition_channel,
        subscribed.status,
        case
            when subscribed.subscription_id is null then 'none'
            else coalesce(plans.plan_code, 'unknown')
        end as plan_code,
        row_number() over (
            partition by subscribed.user_id order by subscribed.valid_from
        ) as version_number,
        subscribed.valid_from,
        subscribed.valid_to
    from subscribed
    left join plans
        on subscribed.plan_id = plans.plan_id
    where subscribed.preference = 1

),

final as (

    select
        user_id,
        region,
        country,
        language,
        acquisition_channel,
        status,
        plan_code,
        version_number,
        valid_to is null as is_current,
        case
            when version_number = 1 then date '0001-01-01'
            else {{ business_date('valid_from') }}
        end as applies_from_date,
        coalesce({{ business_date('valid_to') }}, date '9999-12-31') as applies_to_date,
        valid_from,
        valid_to
    from numbered

)

select * from final
