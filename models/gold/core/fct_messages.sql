{# Grain: one row per living message of the product's table and of the conversation documents.
   Keys: message_id (source system and source id, so that the two cannot collide).
   Incremental: messages whose row, conversation or document landed anew, however old they are, and
   those of people who turned out to be internal.
   Rules: R1, R2 (role user is what counts), R16 (which files it has taken up). No message text: see
   privacy in the contract. #}
{{ incremental_fact(
    key='message_id',
    void='user_key',
    dated_by='sent_at',
    reads=[
        'stg_dms__messages', 'stg_dms__conversations', 'stg_kconnect__conversation_messages',
        'dim_users'
    ],
    logs={'keys': ['message_id', 'conversation_id', 'sent_date'], 'instant': 'sent_at'},
) }}
{%- set scope = fact_scope() %}
{%- set landed = {
    'messages': incremental_ref('base_dms__messages'),
    'conversations': incremental_ref('base_dms__conversations'),
    'documents': incremental_ref('base_kconnect__conversation_messages'),
    'users': incremental_ref('base_dms__users'),
} %}
{%- set conversation_ranges = none %}
{%- if scope == 'some' %}
{%- set internal = newly_internal(landed.users) %}
{%- set landed_documents = landed_since('stg_kconnect__conversation_messages') %}
{%- set document_months = none if internal.anybody else [] if landed_documents == 'false'
    else delivered_months(
        landed.documents, 'conversation_id', 'sent_at',
        is_new=landed_since('stg_kconnect__conversation_messages', 'newly._ingested_at')
    ) %}
{%- set conversations = landed_keys(
    'conversations', landed.conversations, 'conversation_id', ['stg_dms__conversations']
) %}
{%- set naming_messages %}
{{ conversations.ctes }}

message_changes as (

    select
        message_id,
        _bi_message_id
    from {{ landed.messages }}
    where {{ landed_since('stg_dms__messages') }}

),

{% if internal.anybody -%}
-- Rows of the table that differ though no change of theirs landed.
suspects as (

    select
        existing.conversation_id,
        existing.source_system,
        existing.source_order
    from {{ this }} as existing
    inner join {{ ref('int_internal_users') }} as internal_users
        on existing.user_id = internal_users.user_id
    where not existing.is_internal
        and {{ is_in_ranges('existing.user_id', internal.ranges) }}

),

{% endif -%}
touched_messages as (

    select message_id
    from message_changes
    union distinct
    select _bi_message_id as message_id
    from message_changes
    where _bi_message_id is not null
    union distinct
    select message_id
    from {{ ref('stg_dms__messages') }}
    where conversation_id in (
            select touched_conversations.conversation_id
            from touched_conversations
        )
        and {{ is_in_ranges('conversation_id', conversations.bounds.ranges) }}
{%- if internal.anybody %}
    union distinct
    select source_order as message_id
    from suspects
    where source_system = 'dms'
{%- endif %}

),
{%- endset %}
{%- set message_bounds = {
    'column': 'message_id',
    'ranges': value_ranges('touched_messages', 'message_id', 'bigint', naming_messages),
} %}
{%- set of_messages %}
{{ naming_messages }}
found as (

    {{ rows_of_keys(
        ref('stg_dms__messages'), ['message_id'], 'touched_messages', ['conversation_id'],
        bounds=message_bounds, pointer=false
    ) }}

),
{%- endset %}
{%- set conversation_ranges = value_ranges('found', 'conversation_id', 'bigint', of_messages) %}
{%- endif %}
with dms_conversations as (

    select
        conversation_id,
        channel,
        language
    from {{ ref('stg_dms__conversations') }}
    where {{ is_in_ranges('conversation_id', conversation_ranges) }}

),

internal_users as (

    select user_id
    from {{ ref('int_internal_users') }}

),
{% if scope == 'some' %}
{{ naming_messages }}

document_changes as (

    select conversation_id
    from {{ landed.documents }}
    where {{ landed_documents }}

),

touched_documents as (

    select conversation_id
    from document_changes
    {%- if internal.anybody %}
    union distinct
    select substr(conversation_id, 11) as conversation_id
    from suspects
    where source_system = 'documents'
    {%- endif %}

),

stored_messages as (

    {{ rows_of_keys(
        ref('stg_dms__messages'), ['message_id'], 'touched_messages',
        ['message_id', 'conversation_id', 'user_id', 'role', 'model', 'token_count', 'sentiment',
         'sent_at', '_is_deleted'],
        bounds=message_bounds, pointer=false
    ) }}

),

dms_messages as (

    select *
    from stored_messages
    where not _is_deleted

),

document_messages as (

    {{ rows_of_keys(
        ref('stg_kconnect__conversation_messages'), ['conversation_id'], 'touched_documents',
        ['message_id', 'conversation_id', 'user_id', 'user_key', 'role', 'model', 'channel',
         'language', 'position', 'token_count', 'sentiment', 'sent_at'],
        bounds={'column': 'sent_at', 'ranges': document_months, 'or_null': true}, pointer=false
    ) }}

),
{% else %}
dms_messages as (

    select
        message_id,
        conversation_id,
        user_id,
        role,
        model,
        token_count,
        sentiment,
        sent_at
    from {{ ref('stg_dms__messages') }}
    where not _is_deleted

),

document_messages as (

    select
        message_id,
        conversation_id,
        user_id,
        user_key,
        role,
        model,
        channel,
        language,
        position,
        token_count,
        sentiment,
        sent_at
    from {{ ref('stg_kconnect__conversation_messages') }}

),
{% endif %}
united as (

    select
        concat('dms:', cast(dms_messages.message_id as varchar)) as message_id,
        'dms:' || cast(dms_messages.conversation_id as varchar) as conversation_id,
        dms_messages.user_id,
        coalesce(
            cast(dms_messages.user_id as varchar),
            concat('anon:dms-message:', cast(dms_messages.message_id as varchar))
        ) as user_key,
        'dms' as source_system,
        dms_messages.role,
        dms_conversations.channel,
        dms_conversations.language,
        dms_messages.model,
        dms_messages.message_id as source_order,
        dms_messages.token_count,
        dms_messages.sentiment,
        dms_messages.sent_at
    from dms_messages
    left join dms_conversations
        on dms_messages.conversation_id = dms_conversations.conversation_id

    union all

    select
        concat('documents:', message_id) as message_id,
        concat('documents:', conversation_id) as conversation_id,
        user_id,
        user_key,
        'documents' as source_system,
        role,
        channel,
        language,
        model,
        cast(position as bigint) as source_order,
        token_count,
        sentiment,
        sent_at
    from document_messages

),

final as (

    select
        united.message_id,
        united.conversation_id,
        united.user_id,
        united.user_key,
        united.source_system,
        united.role,
        united.channel,
        united.language,
        united.model,
        united.source_order,
        united.token_count,
        united.sentiment,
        internal_users.user_id is not null as is_internal,
        {{ business_date('united.sent_at') }} as sent_date,
        united.sent_at
    from united
    left join internal_users
        on united.user_id = internal_users.user_id

)

{% set touched = [] -%}
{%- if scope == 'some' -%}
    {%- do touched.append({
        'where': "existing.source_system = 'dms' and existing.source_order in "
            ~ '(select touched_messages.message_id from touched_messages)',
        'bounds': {'column': 'source_order', 'ranges': message_bounds.ranges},
    }) -%}
    {%- do touched.append({
        'where': "existing.conversation_id in (select concat('documents:', "
            ~ 'touched_documents.conversation_id) from touched_documents)',
        'bounds': {'column': 'sent_at', 'ranges': document_months, 'or_null': true},
    }) -%}
{%- endif -%}
{{ changed_rows('final', scope, touched) }}
