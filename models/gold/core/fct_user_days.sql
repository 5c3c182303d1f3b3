{# Grain: one row per user and business date on which they were active.
   Keys: user_id, activity_date.
   Incremental: of people of whom an event changed, the dates from the change on; of those whose history
   changed, what it says of the other dates.
   Rules: R2 (who is active), R3 (the active date before), R14 (dimensions at the date's end), R1. #}
{{ incremental_fact(
    key=['user_id', 'activity_date'],
    void='platform',
    dated_by='activity_date',
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
{%- set events_from = none %}
{%- if scope == 'some' %}
{#- Who has a history is known by number; an anonymous visitor has none, and no dates. #}
{%- set of_people = "pending.key not like 'anon:%'" %}
{%- set changed_from = earliest_change(
    'fct_events', 'user_key', this.identifier, condition=of_people
) %}
{%- set events_from = run_query(
    'select cast(' ~ business_date("timestamp '" ~ changed_from ~ "'") ~ ' as varchar) as changed_date'
).rows[0][0] if changed_from else '9999-12-31' %}
{%- set touched_dates = range_from("date '" ~ events_from ~ "'", "date '9999-12-31'") %}
{%- set naming_people %}
people as (

    select
        cast(pending.key as bigint) as user_id,
        {{ business_date('pending.changed_from') }} as changed_from_date
    from {{ changes_pending('fct_events', 'user_key', this.identifier) }} as pending
    where {{ of_people }}

),
{%- endset %}
{%- set people_bounds = {
    'column': 'user_id', 'ranges': value_ranges('people', 'user_id', 'bigint', naming_people)
} %}
{%- set landed_plans = landed_since('stg_dms__plans') %}
{%- set naming_subscriptions %}
subscription_changes as (

    select subscription_id
    from {{ landed.subscriptions }}
    where {{ landed_since('hist_dms__subscriptions') }}
{%- if landed_plans != 'false' %}
        -- A plan is named by all subscriptions to it.
        or plan_id in (
            select plans.plan_id
            from {{ landed.plans }} as plans
            where {{ landed_plans }}
        )
{%- endif %}

),
{%- endset %}
{%- set subscription_ranges = value_ranges(
    'subscription_changes', 'subscription_id', 'bigint', naming_subscriptions
) %}
{%- set landed_users = landed_since('hist_dms__users') %}
{%- set naming_history %}
{{ naming_subscriptions }}

-- With every owner that a subscription ever had: it may have been taken from one.
history_changes as (

    select user_id
    from {{ landed.users }}
    where {{ landed_users }}
    union distinct
    select _bi_user_id as user_id
    from {{ landed.users }}
    where {{ landed_users }}
    union distinct
    select user_id
    from {{ landed.subscriptions }}
    where subscription_id in (
            select subscription_changes.subscription_id
            from subscription_changes
        )
        and {{ is_in_ranges('subscription_id', subscription_ranges) }}

),
{%- endset %}
{%- set history_bounds = {
    'column': 'user_id',
    'ranges': value_ranges('history_changes', 'user_id', 'bigint', naming_history),
} %}
{%- endif %}
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
    {%- if scope == 'some' %}
        and event_date >= date '{{ events_from }}'
    {%- endif %}

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
{{ naming_people }}

{{ naming_history }}

last_dates as (

    select
        existing.user_id,
        max(existing.activity_date) as last_kept_date
    from {{ this }} as existing
    inner join people
        on existing.user_id = people.user_id
            and existing.activity_date < people.changed_from_date
    where {{ is_in_bounds('existing', people_bounds) }}
    group by existing.user_id

),

kept as (

    select
        people.user_id,
        people.changed_from_date,
        last_dates.last_kept_date
    from people
    left join last_dates
        on people.user_id = last_dates.user_id

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

{% if scope == 'some' -%}
-- The dates before, or all, of people whose history changed: their events did not.
other_days as (

    select
        existing.user_id,
        existing.platform,
        existing.event_region,
        existing.event_country,
        existing.event_count,
        existing.message_count,
        existing.activity_date,
        existing.previous_activity_date,
        existing.first_active_at,
        existing.last_active_at
    from {{ this }} as existing
    left join people
        on existing.user_id = people.user_id
    where existing.user_id in (
            select history_changes.user_id
            from history_changes
        )
        and {{ is_in_bounds('existing', history_bounds) }}
        and (people.user_id is null or existing.activity_date < people.changed_from_date)

),

{% endif -%}
placed_days as (

    select
        user_id,
        platform,
        event_region,
        event_country,
        event_count,
        message_count,
        activity_date,
        coalesce(
            lag(activity_date) over (partition by user_id order by activity_date),
            last_kept_date
        ) as previous_activity_date,
        first_active_at,
        last_active_at
    from days
    {%- if scope == 'some' %}
    union all
    select
        user_id,
        platform,
        event_region,
        event_country,
        event_count,
        message_count,
        activity_date,
        previous_activity_date,
        first_active_at,
        last_active_at
    from other_days
    {%- endif %}

),

-- The version that holds at the date's end: a version of the middle of a day applies to no date.
-- The order of each person's dates is found here, once: rolling actives, lifecycle and retention
-- count pairs of dates and sort nothing.
final as (

    select
        placed_days.user_id,
        coalesce(placed_days.platform, 'unknown') as platform,
        coalesce(user_history.region, placed_days.event_region, 'unknown') as region,
        coalesce(user_history.country, placed_days.event_country, 'unknown') as country,
        coalesce(user_history.plan_code, 'unknown') as plan_code,
        placed_days.event_region,
        placed_days.event_country,
        placed_days.event_count,
        placed_days.message_count,
        placed_days.activity_date,
        placed_days.previous_activity_date,
        placed_days.first_active_at,
        placed_days.last_active_at
    from placed_days
    left join user_history
        on placed_days.user_id = user_history.user_id
            and placed_days.activity_date >= user_history.applies_from_date
            and placed_days.activity_date < user_history.applies_to_date

)

{% set is_touched -%}
exists (
    select 1
    from people
    where people.user_id = existing.user_id
        and people.changed_from_date <= existing.activity_date
)
{%- endset -%}
{%- set has_history =
    'existing.user_id in (select history_changes.user_id from history_changes)' -%}
{{ changed_rows('final', scope, [
    {'where': is_touched, 'bounds': {'column': 'activity_date', 'ranges': touched_dates}},
    {'where': has_history, 'bounds': history_bounds},
]) }}
