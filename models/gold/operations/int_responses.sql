{# Grain: one row per response: an assistant's message that directly follows a user's.
   Keys: message_id (of the assistant's message).
   Incremental: conversations of which a message changed, since it makes other neighbours.
   Rules: R11 (what is a response, and when), R2 (internal users), R1. #}
{{ incremental_fact(
    key='message_id', void='conversation_id', dated_by='responded_at', follows=['fct_messages'],
    logs={'keys': ['response_date'], 'instant': 'responded_at'}
) }}
{%- set scope = fact_scope() %}
{%- set silver = {
    'messages': incremental_ref('stg_dms__messages'),
    'documents': incremental_ref('stg_kconnect__conversation_messages'),
} %}
{%- set months = months_of_changed_conversations(
    this.identifier, silver.messages, silver.documents
) if scope == 'some' else none %}
with
{%- if scope == 'some' %}
touched_conversations as (

    select pending.key as conversation_id
    from {{ changes_pending('fct_messages', 'conversation_id', this.identifier) }} as pending

),
{%- endif %}
messages as (

    select
        message_id,
        conversation_id,
        role,
        channel,
        model,
        source_order,
        is_internal,
        sent_date,
        sent_at
    from {{ ref('fct_messages') }}
    {%- if scope == 'some' %}
    where conversation_id in (
            select touched_conversations.conversation_id
            from touched_conversations
        )
        and {{ is_in_ranges('sent_at', months, or_null=true) | indent(8) }}
    {%- endif %}

),

preceded as (

    {{ preceded_messages('messages', carried=['channel', 'model', 'sent_date']) }}

),

final as (

    select
        message_id,
        conversation_id,
        coalesce(channel, 'unknown') as channel,
        model,
        {{ exact_seconds_between('previous_sent_at', 'sent_at') }} as response_seconds,
        sent_date as response_date,
        previous_sent_at as asked_at,
        sent_at as responded_at
    from preceded
    where {{ is_response() }}

)

{% set is_touched -%}
    existing.conversation_id in (
        select touched_conversations.conversation_id from touched_conversations
    )
{%- endset -%}
{{ changed_rows('final', scope, [{
    'where': is_touched,
    'bounds': {'column': 'responded_at', 'ranges': months, 'or_null': true},
}]) }}
