{# Grain: one row per message of a conversation that has one in the 60 minutes before as-of.
   Keys: message_id.
   Incremental: none; gold's messages but for what landed since, and that from silver.
   Rules: R16 (nothing missing, nothing twice), R2 (internal users). #}
{%- set months = months_of_recent_conversations(
    ref('stg_dms__messages'), ref('stg_kconnect__conversation_messages')
) %}
with gold_messages as (

    select
        message_id,
        conversation_id,
        user_id,
        source_system,
        role,
        source_order,
        sent_at
    from {{ ref('fct_messages') }}
    where {{ is_in_ranges('sent_at', months) }}

),

message_changes as (

    select
        message_id,
        _bi_message_id,
        _ingested_at
    from {{ ref('base_dms__messages') }}

),

silver_messages as (

    select
        message_id,
        conversation_id,
        user_id,
        role,
        _is_deleted,
        sent_at
    from {{ ref('stg_dms__messages') }}

),

deliveries as (

    select
        conversation_id,
        _ingested_at
    from {{ ref('base_kconnect__conversation_messages') }}

),

silver_documents as (

    select
        message_id,
        conversation_id,
        user_id,
        role,
        position,
        sent_at
    from {{ ref('stg_kconnect__conversation_messages') }}
    where {{ is_in_ranges('sent_at', months) }}

),

user_changes as (

    select
        user_id,
        is_internal,
        _ingested_at
    from {{ ref('base_dms__users') }}

),

users as (

    select
        user_id,
        is_internal
    from {{ ref('dim_users') }}

),

landed_messages as (

    {{ landed_after('base_dms__messages', 'fct_messages') }}

),

landed_documents as (

    {{ landed_after('base_kconnect__conversation_messages', 'fct_messages') }}

),

landed_users as (

    {{ landed_after('base_dms__users', 'dim_users') }}

),

changed as (

    select
        message_changes.message_id,
        message_changes._bi_message_id
    from message_changes
    inner join landed_messages
        on message_changes._ingested_at = landed_messages.ingested_at

),

sweep as (

    select max(is_sweeping) as is_sweeping
    from landed_messages

),

-- Of a load the keys that it lacks matter too, so then all messages of the table count as touched.
touched_messages as (

    select message_id
    from changed
    union distinct
    select _bi_message_id as message_id
    from changed
    where _bi_message_id is not null
    {%- if may_be_swept('base_dms__messages', 'fct_messages') %}
    union distinct
    select silver_messages.message_id
    from silver_messages
    cross join sweep
    where sweep.is_sweeping = 1
    {%- endif %}

),

touched_documents as (

    select distinct deliveries.conversation_id
    from deliveries
    inner join landed_documents
        on deliveries._ingested_at = landed_documents.ingested_at

),

internal_users as (

    {{ internal_users_by_now('users', 'user_changes', 'landed_users') }}

),

united as (

    select
        gold_messages.message_id,
        gold_messages.conversation_id,
        gold_messages.user_id,
        gold_messages.role,
        gold_messages.source_order,
        true as is_from_gold,
        gold_messages.sent_at
    from gold_messages
    left join touched_messages
        on gold_messages.source_system = 'dms'
            and gold_messages.source_order = touched_messages.message_id
    left join touched_documents
        on gold_messages.conversation_id = 'documents:' || touched_documents.conversation_id
    where touched_messages.message_id is null
        and touched_documents.conversation_id is null

    union all

    select
        concat('dms:', cast(silver_messages.message_id as varchar)) as message_id,
        'dms:' || cast(silver_messages.conversation_id as varchar) as conversation_id,
        silver_messages.user_id,
        silver_messages.role,
        silver_messages.message_id as source_order,
        false as is_from_gold,
        silver_messages.sent_at
    from silver_messages
    inner join touched_messages
        on silver_messages.message_id = touched_messages.message_id
    where not silver_messages._is_deleted
        and {{ is_in_ranges('silver_messages.sent_at', months) }}

    union all

    select
        concat('documents:', silver_documents.message_id) as message_id,
        concat('documents:', silver_documents.conversation_id) as conversation_id,
        silver_documents.user_id,
        silver_documents.role,
        cast(silver_documents.position as bigint) as source_order,
        false as is_from_gold,
        silver_documents.sent_at
    from silver_documents
    inner join touched_documents
        on silver_documents.conversation_id = touched_documents.conversation_id

),

recent as (

    select distinct conversation_id
    from united
    where sent_at >= {{ real_time_start() }}
        and sent_at < {{ real_time_end() }}

),

-- Of a recent conversation also the earlier messages: an answer may have been waited for longer. A
-- message that belongs to no conversation stands for itself.
final as (

    select
        united.message_id,
        united.conversation_id,
        united.user_id,
        united.role,
        united.source_order,
        united.is_from_gold,
        internal_users.user_id is not null as is_internal,
        united.sent_at >= {{ real_time_start() }}
        and united.sent_at < {{ real_time_end() }} as is_recent,
        date_trunc('minute', united.sent_at) as minute_at,
        united.sent_at
    from united
    inner join recent
        on coalesce(united.conversation_id, '') = coalesce(recent.conversation_id, '')
    left join internal_users
        on united.user_id = internal_users.user_id
    where united.sent_at is not null
        and (
            united.conversation_id is not null
            or (
                united.sent_at >= {{ real_time_start() }}
                and united.sent_at < {{ real_time_end() }}
            )
        )

)

select * from final
