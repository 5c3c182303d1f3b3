{# Grain: one row per living conversation of the product's table and per conversation document.
   Keys: conversation_id (source system and source id, so that the two cannot collide).
   Incremental: none; rebuilt whole from the current state.
   Rules: R1. #}
with dms_conversations as (

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

users as (

    select
        user_id,
        is_internal
    from {{ ref('dim_users') }}

),

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
        coalesce(users.is_internal, false) as is_internal,
        {{ business_date('united.started_at') }} as started_date,
        united.started_at,
        united.ended_at
    from united
    left join counted
        on united.conversation_id = counted.conversation_id
    left join users
        on united.user_id = users.user_id

)

select * from final
