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

select * from final
