{# Grain: one row per event of the activity stream: app events and the product's facts as events.
   Keys: event_id (an app event's own; a fact's is made of its name, source system and source id).
   Incremental: app events that landed anew or whose person became known, messages that changed, and
   conversations, subscriptions and payments of which a change landed, however old they are; rows of
   people who turned out to be internal. Whole where a fact lands for the first time.
   Rules: R1, R2 (active signals, internal users), R8 (names that funnels are made of), R10 (feature),
   R12 (status of a request), R16 (which files it has taken up). #}
{{ incremental_fact(
    key='event_id', void='is_internal', dated_by='occurred_at',
    reads=[
        'stg_kconnect__app_events', 'stg_dms__conversations', 'stg_kconnect__conversations',
        'stg_dms__subscriptions', 'hist_dms__subscriptions', 'fct_payments', 'dim_users'
    ],
    follows=['fct_messages'],
    logs={'keys': ['user_key', 'event_date'], 'instant': 'occurred_at'},
    asks='int_landed_facts',
) }}
{%- set scope = fact_scope() %}
{%- set landed = {
    'app_events': incremental_ref('base_kconnect__app_events'),
    'event_months': incremental_ref('int_kconnect__event_months'),
    'conversations': incremental_ref('base_dms__conversations'),
    'documents': incremental_ref('base_kconnect__conversation_messages'),
    'subscriptions': incremental_ref('base_dms__subscriptions'),
    'payments': incremental_ref('base_dms__payments'),
    'users': incremental_ref('base_dms__users'),
} %}
{%- set changed = changed_events(landed, ref('stg_kconnect__app_events')) if scope == 'some' else {
    'messages': none, 'conversations': none, 'subscriptions': none, 'payments': none, 'touched': []
} %}
with tracking_plan as (

    select
        event_name,
        is_active_signal
    from {{ ref('tracking_plan') }}

),

landed_facts as (

    select
        event_name,
        is_landed
    from {{ ref('int_landed_facts') }}

),

messages as (

    select
        message_id,
        user_key,
        source_system,
        channel,
        sent_at
    from {{ ref('fct_messages') }}
    where role = 'user'
        and sent_at is not null
        and {{ is_in_ranges('sent_at', changed.messages) }}

),

conversations as (

    select
        conversation_id,
        user_key,
        source_system,
        channel,
        started_at
    from {{ ref('fct_conversations') }}
    where started_at is not null
        and {{ is_in_ranges('started_at', changed.conversations) }}

),

subscriptions as (

    select
        subscription_id,
        user_id,
        started_at,
        trial_ends_at,
        canceled_at
    from {{ ref('stg_dms__subscriptions') }}
    where not _is_deleted
        and {{ is_in_ranges('subscription_id', changed.subscriptions) }}

),

subscription_versions as (

    select
        subscription_id,
        status
    from {{ ref('hist_dms__subscriptions') }}
    where {{ is_in_ranges('subscription_id', changed.subscriptions) }}

),

payments as (

    select
        payment_id,
        user_id,
        was_paid,
        paid_at
    from {{ ref('fct_payments') }}
    where {{ is_in_ranges('payment_id', changed.payments) }}

),

internal_users as (

    select user_id
    from {{ ref('int_internal_users') }}

),

{% if scope == 'some' %}
{{ changed.ctes }}

app_events as (

    {{ rows_of_keys(
        ref('stg_kconnect__app_events'), ['event_id'], 'touched_app_events',
        ['event_id', 'event_name', 'user_key', 'platform', 'region', 'country', 'properties',
         'occurred_at'],
        bounds={'column': 'occurred_at', 'ranges': changed.app_events, 'or_null': true}, pointer=false
    ) }}

),
{% else %}
app_events as (

    select
        event_id,
        event_name,
        user_key,
        platform,
        region,
        country,
        properties,
        occurred_at
    from {{ ref('stg_kconnect__app_events') }}

),
{% endif %}
-- Where the product's own record of a fact lands, the app's word for it would count it twice.
believed_app_events as (

    select
        app_events.event_id,
        app_events.event_name,
        app_events.user_key,
        app_events.platform,
        app_events.region,
        app_events.country,
        {{ json_scalar('app_events.properties', 'feature') }} as named_feature,
        case
            when app_events.event_name = 'api_request'
                then {{ json_scalar('app_events.properties', 'status') }}
        end as status_text,
        app_events.occurred_at
    from app_events
    left join landed_facts
        on app_events.event_name = landed_facts.event_name
    where not coalesce(landed_facts.is_landed, false)
        and app_events.occurred_at is not null

),

-- A trial that became a paying subscription may have lost the end of the trial, not its history.
tried as (

    select distinct subscription_id
    from subscription_versions
    where status = 'trialing'

),

trials as (

    select
        subscriptions.subscription_id,
        subscriptions.user_id,
        subscriptions.started_at
    from subscriptions
    left join tried
        on subscriptions.subscription_id = tried.subscription_id
    where subscriptions.started_at is not null
        and (subscriptions.trial_ends_at is not null or tried.subscription_id is not null)

),

united as (

    select
        event_id,
        event_name,
        user_key,
        'app_events' as source_system,
        platform,
        region,
        country,
        named_feature,
        status_text,
        occurred_at
    from believed_app_events

    union all

    select
        concat('message_sent:', message_id) as event_id,
        'message_sent' as event_name,
        user_key,
        source_system,
        channel as platform,
        cast(null as varchar) as region,
        cast(null as varchar) as country,
        cast(null as varchar) as named_feature,
        cast(null as varchar) as status_text,
        sent_at as occurred_at
    from messages
    {%- if scope == 'some' %}
    where message_id in (
            select touched_messages.message_id
            from touched_messages
        )
    {%- endif %}

    union all

    select
        concat('conversation_started:', conversation_id) as event_id,
        'conversation_started' as event_name,
        user_key,
        source_system,
        channel as platform,
        cast(null as varchar) as region,
        cast(null as varchar) as country,
        cast(null as varchar) as named_feature,
        cast(null as varchar) as status_text,
        started_at as occurred_at
    from conversations

    union all

    select
        concat('trial_started:dms:', cast(subscription_id as varchar)) as event_id,
        'trial_started' as event_name,
        coalesce(
            cast(user_id as varchar),
            concat('anon:dms-subscription:', cast(subscription_id as varchar))
        ) as user_key,
        'dms' as source_system,
        cast(null as varchar) as platform,
        cast(null as varchar) as region,
        cast(null as varchar) as country,
        cast(null as varchar) as named_feature,
        cast(null as varchar) as status_text,
        started_at as occurred_at
    from trials

    union all

    select
        concat('subscription_canceled:dms:', cast(subscription_id as varchar)) as event_id,
        'subscription_canceled' as event_name,
        coalesce(
            cast(user_id as varchar),
            concat('anon:dms-subscription:', cast(subscription_id as varchar))
        ) as user_key,
        'dms' as source_system,
        cast(null as varchar) as platform,
        cast(null as varchar) as region,
        cast(null as varchar) as country,
        cast(null as varchar) as named_feature,
        cast(null as varchar) as status_text,
        canceled_at as occurred_at
    from subscriptions
    where canceled_at is not null

    union all

    select
        concat('payment_paid:dms:', cast(payment_id as varchar)) as event_id,
        'payment_paid' as event_name,
        coalesce(
            cast(user_id as varchar),
            concat('anon:dms-payment:', cast(payment_id as varchar))
        ) as user_key,
        'dms' as source_system,
        cast(null as varchar) as platform,
        cast(null as varchar) as region,
        cast(null as varchar) as country,
        cast(null as varchar) as named_feature,
        cast(null as varchar) as status_text,
        paid_at as occurred_at
    from payments
    where was_paid

),

known as (

    select
        event_id,
        event_name,
        case when user_key not like 'anon:%' then cast(user_key as bigint) end as user_id,
        user_key,
        source_system,
        platform,
        region,
        country,
        nullif(named_feature, '') as named_feature,
        {{ http_status('status_text') }} as status_code,
        occurred_at
    from united
    {%- if scope == 'some' %}
    where event_id in (
            select touched.event_id
            from touched
        )
    {%- endif %}

),

made as (

    select
        known.event_id,
        known.event_name,
        known.user_id,
        known.user_key,
        known.source_system,
        known.platform,
        known.region,
        known.country,
        -- Without a name of its own a feature is what the plan calls the event.
        coalesce(
            known.named_feature,
            case
                when known.source_system <> 'app_events' or tracking_plan.event_name is not null
                    then known.event_name
            end
        ) as feature,
        known.status_code,
        -- To write a message is to be active, whatever the tracking plan says of the name; an app's
        -- event of that name is an event like any other.
        (known.event_name = 'message_sent' and known.source_system <> 'app_events')
        or coalesce(tracking_plan.is_active_signal, false) as is_active_signal,
        known.source_system <> 'app_events'
        or tracking_plan.event_name is not null as is_documented,
        internal_users.user_id is not null as is_internal,
        {{ business_date('known.occurred_at') }} as event_date,
        known.occurred_at
    from known
    left join tracking_plan
        on known.event_name = tracking_plan.event_name
    left join internal_users
        on known.user_id = internal_users.user_id

),

{% if scope == 'some' and changed.internal.anybody -%}
-- Nothing else of them changed.
flagged as (

    select
        {%- for column in model.columns %}
        {{ 'true as is_internal' if column == 'is_internal' else 'existing.' ~ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ this }} as existing
    inner join internal_users
        on existing.user_id = internal_users.user_id
    where not existing.is_internal
        and {{ is_in_ranges('existing.user_id', changed.internal.ranges) }}
        and existing.event_id not in (select touched.event_id from touched)

),

{% endif -%}
final as (

    select {{ (model.columns | join(', ')) or '*' }}
    from made
    {%- if scope == 'some' and changed.internal.anybody %}
    union all
    select {{ model.columns | join(', ') }}
    from flagged
    {%- endif %}

)

{{ changed_rows('final', scope, changed.touched) }}
