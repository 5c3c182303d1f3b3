{# What fct_events must look at when only some of it may have changed; called by that model alone.
     ctes      CTEs `touched_…` of what changed, and `touched` with the event_ids of all of it
     app_events, messages, conversations    months in which these lie in their tables
     subscriptions, payments    ranges of their keys
     internal  as newly_internal; its people's events are in the model's CTE `flagged`
     touched   as changed_rows takes it
   landed: base models by what lands in them. The months of the product's facts are those of the moments
   that their rows ever had, so that one is found where it was, too. #}
{% macro changed_events(landed, app_events) -%}
    {%- set of_app_events = landed_since('stg_kconnect__app_events') -%}
    {%- set of_documents = landed_since('stg_kconnect__conversations') -%}
    {%- set message_months = changed_months('fct_messages', 'message_id', this.identifier) -%}
    {#- App events: of what was delivered, and of visitors of whom it tells who they are. -#}
    {%- set app_event_months = [] -%}
    {%- if of_app_events != 'false' -%}
        {%- set concerned = months_concerned(
            landed.app_events, landed.event_months,
            is_new=landed_since('stg_kconnect__app_events', 'newly._ingested_at')
        ) -%}
        {%- set app_event_months = months_of_all([concerned.delivered, concerned.visited]) -%}
    {%- endif -%}
    {%- set conversations = landed_keys(
        'conversations', landed.conversations, 'conversation_id', ['stg_dms__conversations']
    ) -%}
    {%- set subscriptions = landed_keys(
        'subscriptions', landed.subscriptions, 'subscription_id',
        ['stg_dms__subscriptions', 'hist_dms__subscriptions']
    ) -%}
    {%- set payments = landed_keys('payments', landed.payments, 'payment_id', ['fct_payments']) -%}
    {%- set document_months = [] if of_documents == 'false'
        else delivered_months(
            landed.documents, 'conversation_id', 'created_at',
            is_new=landed_since('stg_kconnect__conversations', 'newly._ingested_at')
        ) -%}
    {%- set naming = conversations.ctes ~ subscriptions.ctes ~ payments.ctes -%}
    {%- set moments %}
(
    with {{ naming }}

    moments as (

        {{ moments_of_keys(
            'conversations', landed.conversations, 'conversation_id', 'started_at', conversations
        ) }}
        union all
        {{ moments_of_keys(
            'subscriptions', landed.subscriptions, 'subscription_id', 'started_at', subscriptions
        ) }}
        union all
        {{ moments_of_keys(
            'subscriptions', landed.subscriptions, 'subscription_id', 'canceled_at', subscriptions
        ) }}
        union all
        {{ moments_of_keys('payments', landed.payments, 'payment_id', 'paid_at', payments) }}

    )

    select moments.moment
    from moments
)
    {%- endset -%}
    {%- set conversation_months = months_of_all([months_of(moments, 'moment'), document_months]) -%}
    {%- set ctes -%}
deliveries as (

    select
        event_id,
        anonymous_id
    from {{ landed.app_events }}
    where {{ of_app_events }}

),

-- What newly landed may have told who an anonymous visitor is (see stg_kconnect__app_events).
touched_app_events as (

    select event_id
    from deliveries
    union distinct
    select event_id
    from {{ app_events }}
    where user_id is null
        and anonymous_id in (
            select deliveries.anonymous_id
            from deliveries
        )
        and {{ is_in_ranges('occurred_at', app_event_months, or_null=true) }}

),

touched_messages as (

    select pending.key as message_id
    from {{ changes_pending('fct_messages', 'message_id', this.identifier) }} as pending

),

{{ naming }}

touched_any_conversations as (

    select concat('dms:', cast(conversation_id as varchar)) as conversation_id
    from touched_conversations
    union distinct
    select concat('documents:', conversation_id) as conversation_id
    from {{ landed.documents }}
    where {{ of_documents }}

),

touched as (

    select event_id
    from touched_app_events
    union distinct
    select concat('message_sent:', message_id) as event_id
    from touched_messages
    union distinct
    select concat('conversation_started:', conversation_id) as event_id
    from touched_any_conversations
    union distinct
    select concat('trial_started:dms:', cast(subscription_id as varchar)) as event_id
    from touched_subscriptions
    union distinct
    select concat('subscription_canceled:dms:', cast(subscription_id as varchar)) as event_id
    from touched_subscriptions
    union distinct
    select concat('payment_paid:dms:', cast(payment_id as varchar)) as event_id
    from touched_payments

),
    {%- endset -%}
    {%- set internal = newly_internal(landed.users) -%}
    {%- set touched = [{
        'where': 'existing.event_id in (select touched.event_id from touched)',
        'bounds': {
            'column': 'occurred_at',
            'ranges': months_of_all([app_event_months, message_months, conversation_months]),
        },
    }] -%}
    {%- if internal.anybody -%}
        {%- do touched.append({
            'where': 'existing.event_id in (select flagged.event_id from flagged)',
            'bounds': {'column': 'user_id', 'ranges': internal.ranges},
        }) -%}
    {%- endif -%}
    {%- do return({
        'ctes': ctes,
        'app_events': app_event_months,
        'messages': message_months,
        'conversations': conversation_months,
        'subscriptions': subscriptions.bounds.ranges,
        'payments': payments.bounds.ranges,
        'internal': internal,
        'touched': touched,
    }) -%}
{%- endmacro %}
