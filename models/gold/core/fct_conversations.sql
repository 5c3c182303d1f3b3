{# Grain: one row per living conversation of the product's table and per conversation document.
   Keys: conversation_id (source system and source id, so that the two cannot collide).
   Incremental: conversations whose row or document landed anew or of which a message changed, however
   old they are, and those of people who turned out to be internal.
   Rules: R1. #}
{{ incremental_fact(
    key='conversation_id',
    void='user_key',
    dated_by='started_at',
    reads=['stg_dms__conversations', 'stg_kconnect__conversations', 'dim_users'],
    follows=['fct_messages'],
) }}
{%- set scope = fact_scope() %}
{%- set landed = {
    'conversations': incremental_ref('base_dms__conversations'),
    'documents': incremental_ref('base_kconnect__conversation_messages'),
    'users': incremental_ref('base_dms__users'),
} %}
{%- set silver = {
    'messages': incremental_ref('stg_dms__messages'),
    'documents': incremental_ref('stg_kconnect__conversation_messages'),
} %}
{%- set lies_in = {} %}
{%- if scope == 'some' %}
{%- set internal = newly_internal(landed.users) %}
{%- set naming %}
{{ ctes_of_landed_keys(
    'conversations', landed.conversations, 'conversation_id', ['stg_dms__conversations']
) }}

document_changes as (

    select conversation_id
    from {{ landed.documents }}
    where {{ landed_since('stg_kconnect__conversations') }}

),

touched as (

    select concat('dms:', cast(conversation_id as varchar)) as conversation_id
    from touched_conversations
    union distinct
    select concat('documents:', conversation_id) as conversation_id
    from document_changes
    union distinct
    select pending.key as conversation_id
    from {{ changes_pending('fct_messages', 'conversation_id', this.identifier) }} as pending
{%- if internal.anybody %}
    union distinct
    select existing.conversation_id
    from {{ this }} as existing
    inner join {{ ref('int_internal_users') }} as internal_users
        on existing.user_id = internal_users.user_id
    where not existing.is_internal
        and {{ is_in_ranges('existing.user_id', internal.ranges) }}
{%- endif %}

),

touched_rows as (

    select cast(substr(conversation_id, 5) as bigint) as conversation_id
    from touched
    where conversation_id like 'dms:%'

),

touched_documents as (

    select substr(conversation_id, 11) as conversation_id
    from touched
    where conversation_id like 'documents:%'

),
{%- endset %}
{%- set lies_in = months_of_conversations(
    naming, silver.messages, silver.documents, ref('stg_kconnect__conversations')
) %}
{%- endif %}
with internal_users as (

    select user_id
    from {{ ref('int_internal_users') }}

),
{% if scope == 'some' %}
{{ naming }}

stored_conversations as (

    {{ rows_of_keys(
        ref('stg_dms__conversations'), ['conversation_id'], 'touched_rows',
        ['conversation_id', 'user_id', 'channel', 'language', 'status', 'started_at', 'ended_at',
         '_is_deleted'],
        bounds=lies_in.rows, pointer=false
    ) }}

),

dms_conversations as (

    select *
    from stored_conversations
    where not _is_deleted

),

documents as (

    {{ rows_of_keys(
        ref('stg_kconnect__conversations'), ['conversation_id'], 'touched_documents',
        ['conversation_id', 'user_id', 'user_key', 'channel', 'language', 'created_at',
         'last_message_at'],
        bounds=lies_in.documents, pointer=false
    ) }}

),

messages as (

    {{ rows_of_keys(
        ref('fct_messages'), ['conversation_id'], 'touched', ['conversation_id', 'role'],
        bounds=lies_in.messages, pointer=false
    ) }}

),
{% else %}
dms_conversations as (

    select
        conversation_id,
        user_id,
        channel,
        language,
        status,
        started_at,
        ended_at
    from {{ ref('stg_dms__conversations') }}
    where not _is_deleted

),

documents as (

    select
        conversation_id,
        user_id,
        user_key,
        channel,
        language,
        created_at,
        last_message_at
    from {{ ref('stg_kconnect__conversations') }}

),

messages as (

    select
        conversation_id,
        role
    from {{ ref('fct_messages') }}

),
{% endif %}
counted as (

    select
        conversation_id,
        count(*) as message_count,
        sum(case when role = 'user' then 1 else 0 end) as user_message_count,
        sum(case when role = 'assistant' then 1 else 0 end) as assistant_message_count
    from messages
    group by conversation_id

),

united as (

    select
        concat('dms:', cast(conversation_id as varchar)) as conversation_id,
        user_id,
        coalesce(
            cast(user_id as varchar),
            concat('anon:dms-conversation:', cast(conversation_id as varchar))
        ) as user_key,
        'dms' as source_system,
        channel,
        language,
        status,
        started_at,
        ended_at
    from dms_conversations

    union all

    -- A document has no status and no end; its last message is the last that is known of it.
    select
        concat('documents:', conversation_id) as conversation_id,
        user_id,
        user_key,
        'documents' as source_system,
        channel,
        language,
        cast(null as varchar) as status,
        created_at as started_at,
        last_message_at as ended_at
    from documents

),

final as (

    select
        united.conversation_id,
        united.user_id,
        united.user_key,
        united.source_system,
        united.channel,
        united.language,
        united.status,
        coalesce(counted.message_count, 0) as message_count,
        cast(coalesce(counted.user_message_count, 0) as bigint) as user_message_count,
        cast(coalesce(counted.assistant_message_count, 0) as bigint) as assistant_message_count,
        internal_users.user_id is not null as is_internal,
        {{ business_date('united.started_at') }} as started_date,
        united.started_at,
        united.ended_at
    from united
    left join counted
        on united.conversation_id = counted.conversation_id
    left join internal_users
        on united.user_id = internal_users.user_id

)

{% set is_touched = 'existing.conversation_id in (select touched.conversation_id from touched)' -%}
{{ changed_rows('final', scope, [{'where': is_touched, 'bounds': lies_in.existing}]) }}
