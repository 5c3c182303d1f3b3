{# Grain: one row per response: an assistant's message that directly follows a user's.
   Keys: message_id (of the assistant's message).
   Incremental: none; rebuilt whole, since a late or deleted message makes other neighbours.
   Rules: R11 (what is a response, and when), R2 (internal users), R1. #}
with messages as (

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
    where conversation_id is not null
        and sent_at is not null
        and coalesce(role, '') <> 'system'

),

preceded as (

    select
        message_id,
        conversation_id,
        role,
        channel,
        model,
        is_internal,
        sent_date,
        sent_at,
        lag(role) over (
            partition by conversation_id order by sent_at, source_order
        ) as previous_role,
        lag(is_internal) over (
            partition by conversation_id order by sent_at, source_order
        ) as previous_is_internal,
        lag(sent_at) over (
            partition by conversation_id order by sent_at, source_order
        ) as previous_sent_at
    from messages

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
    where role = 'assistant'
        and previous_role = 'user'
        and not is_internal
        and not previous_is_internal

)

select * from final
