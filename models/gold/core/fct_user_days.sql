{# Grain: one row per user and business date on which they were active.
   Keys: user_id, activity_date.
   Incremental: of people of whom an event or the history changed, the dates from the change on.
   Rules: R2 (who is active), R3 (the active date before), R14 (dimensions at the date's end), R1. #}
{{ incremental_fact(
    key=['user_id', 'activity_date'],
    void='platform',
    reads=['hist_dms__users', 'hist_dms__subscriptions', 'stg_dms__plans'],
    follows=['fct_events'],
    logs={'keys': ['activity_date'], 'instant': 'first_active_at'},
) }}
{%- set scope = fact_scope() %}
{%- set landed = {
    'users': incremental_ref('base_dms__users'),
    'subscriptions': incremental_ref('base_dms__subscriptions'),
    'plans': incremental_ref('base_dms__plans'),
} %}
with events as (

    select
        event_id,
        event_name,
        user_id,
        platform,
        region,
        country,
        event_date,
        occurred_at
    from {{ ref('fct_events') }}
    where is_active_signal
        and user_id is not null
        and not is_internal

),

user_history as (

    select
        user_id,
        region,
        country,
        plan_code,
        applies_from_date,
        applies_to_date
    from {{ ref('dim_users_history') }}

),

{% if scope == 'some' %}
subscription_changes as (

    select subscription_id
    from {{ landed.subscriptions }}
    where _ingested_at in ({{ ingested_since('hist_dms__subscriptions') }})
        -- A plan is named by all subscriptions to it.
        or plan_id in (
            select plans.plan_id
            from {{ landed.plans }} as plans
            where plans._ingested_at in ({{ ingested_since('stg_dms__plans') }})
        )

),

-- With every owner that a subscription ever had: it may have been taken from one.
history_changes as (

    select user_id
    from {{ landed.users }}
    where _ingested_at in ({{ ingested_since('hist_dms__users') }})
    union distinct
    select _bi_user_id as user_id
    from {{ landed.users }}
    where _ingested_at in ({{ ingested_since('hist_dms__users') }})
    union distinct
    select user_id
    from {{ landed.subscriptions }}
    where subscription_id in (
            select subscription_changes.subscription_id
            from subscription_changes
        )

),

changes as (

    select
        cast(pending.key as bigint) as user_id,
        {{ business_date('pending.changed_from') }} as changed_from_date
    from {{ changes_pending('fct_events', 'user_key', this.identifier) }} as pending
    where pending.key not like 'anon:%'
    union all
    select
        user_id,
        date '0001-01-01' as changed_from_date
    from history_changes
    where user_id is not null

),

people as (

    select
        user_id,
        min(changed_from_date) as changed_from_date
    from changes
    group by user_id

),

kept as (

    select
        people.user_id,
        people.changed_from_date,
        max(existing.activity_date) as last_kept_date
    from people
    left join {{ this }} as existing
        on people.user_id = existing.user_id
            and people.changed_from_date > existing.activity_date
    group by
        people.user_id,
        people.changed_from_date

),

read_events as (

    select
        events.event_id,
        events.event_name,
        events.user_id,
        events.platform,
        events.region,
        events.country,
        kept.last_kept_date,
        events.event_date,
        events.occurred_at
    from events
    inner join kept
        on events.user_id = kept.user_id
            and events.event_date >= kept.changed_from_date

),
{% else %}
read_events as (

    select
        event_id,
        event_name,
        user_id,
        platform,
        region,
        country,
        cast(null as date) as last_kept_date,
        event_date,
        occurred_at
    from events

),
{% endif %}
ordered as (

    select
        event_name,
        user_id,
        platform,
        region,
        country,
        row_number() over (
            partition by user_id, event_date order by occurred_at, event_id
        ) as place,
        last_kept_date,
        event_date,
        occurred_at
    from read_events

),

-- The earliest region an event of the day tells, in one pass: its place leads the text and decides.
days as (

    select
        user_id,
        max(case when place = 1 then platform end) as platform,
        substr(
            min(
                case
                    when region is not null
                        then concat(lpad(cast(place as varchar), 12, '0'), region)
                end
            ),
            13
        ) as event_region,
        substr(
            min(
                case
                    when country is not null
                        then concat(lpad(cast(place as varchar), 12, '0'), country)
                end
            ),
            13
        ) as event_country,
        count(*) as event_count,
        cast(
            sum(case when event_name = 'message_sent' then 1 else 0 end) as bigint
        ) as message_count,
        max(last_kept_date) as last_kept_date,
        event_date as activity_date,
        min(occurred_at) as first_active_at,
        max(occurred_at) as last_active_at
    from ordered
    group by
        user_id,
        event_date

),

-- The version that holds at the date's end: a version of the middle of a day applies to no date.
-- The order of each person's dates is found here, once: rolling actives, lifecycle and retention
-- count pairs of dates and sort nothing.
final as (

    select
        days.user_id,
        coalesce(days.platform, 'unknown') as platform,
        coalesce(user_history.region, days.event_region, 'unknown') as region,
        coalesce(user_history.country, days.event_country, 'unknown') as country,
        coalesce(user_history.plan_code, 'unknown') as plan_code,
        days.event_region,
        days.event_country,
        days.event_count,
        days.message_count,
        days.activity_date,
        coalesce(
            lag(days.activity_date) over (
                partition by days.user_id order by days.activity_date
            ),
            days.last_kept_date
        ) as previous_activity_date,
        days.first_active_at,
        days.last_active_at
    from days
    left join user_history
        on days.user_id = user_history.user_id
            and days.activity_date >= user_history.applies_from_date
            and days.activity_date < user_history.applies_to_date

)

{% set is_touched -%}
    exists (
        select 1
        from people
        where people.user_id = existing.user_id
            and people.changed_from_date <= existing.activity_date
    )
{%- endset -%}
{{ changed_rows('final', scope, is_touched) }}
