{# Grain: one row per living message of the product's table and of the conversation documents.
   Keys: message_id (source system and source id, so that the two cannot collide).
   Incremental: none; rebuilt whole from the current state.
   Rules: R1, R2 (role user is what counts), R16 (which files it has taken up). No message text: see
   privacy in the contract. #}
{{ config(
    post_hook=[
        "{{ mark_pending_seen('base_dms__messages', this.identifier) }}",
        "{{ mark_pending_seen('base_kconnect__conversation_messages', this.identifier) }}",
    ],
) }}
with dms_messages as (

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

dms_conversations as (

    select
        conversation_id,
        channel,
        language
    from {{ ref('stg_dms__conversations') }}

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

users as (

    select
        user_id,
        is_internal
    from {{ ref('dim_users') }}

),

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
        coalesce(users.is_internal, false) as is_internal,
        {{ business_date('united.sent_at') }} as sent_date,
        united.sent_at
    from united
    left join users
        on united.user_id = users.user_id

)

select * from final
