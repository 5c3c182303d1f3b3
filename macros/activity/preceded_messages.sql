{# R11 as a query: each message of `messages` (columns message_id, conversation_id, role, source_order,
   is_internal, sent_at and those carried) with the one before it in its conversation, system messages
   skipped. It is here once, because the batch and the last hour must agree on what a response is. #}
{% macro preceded_messages(messages, carried=[]) -%}
    {%- set order = 'partition by conversation_id order by sent_at, source_order' -%}
    select
        message_id,
        conversation_id,
        role,
        is_internal,
        {%- for column in carried %}
        {{ column }},
        {%- endfor %}
        sent_at,
        lag(role) over ({{ order }}) as previous_role,
        lag(is_internal) over ({{ order }}) as previous_is_internal,
        lag(sent_at) over ({{ order }}) as previous_sent_at
    from {{ messages }}
    where conversation_id is not null
        and sent_at is not null
        and coalesce(role, '') <> 'system'
{%- endmacro %}


{# SQL condition on a row of preceded_messages: it is a response, and no internal user's (R11, R2). #}
{% macro is_response() -%}
    role = 'assistant'
    and previous_role = 'user'
    and not is_internal
    and not previous_is_internal
{%- endmacro %}
