{# Grain: one row per message of the document that a conversation's latest delivery holds.
   Keys: message_id (`<conversation_id>:<position>`).
   Incremental: conversations delivered anew are recomputed and replaced whole.
   Rules: silver contract (a document is a state: its latest delivery counts; user_key). #}
{{ config(
    materialized='incremental',
    incremental_strategy=replace_keys_strategy(),
    unique_key='conversation_id',
    partitioned_by=by_month_of('sent_at'),
    on_schema_change='append_new_columns',
    post_hook="{{ mark_pending_seen('base_kconnect__conversation_messages', this.identifier) }}",
    meta={'void_column': 'message_id', 'row_columns': ['message_id']},
) }}
{%- set base = 'base_kconnect__conversation_messages' %}
{%- set scope = pending_scope(base, 'stg_kconnect__conversation_messages') %}
{%- if scope == 'none' %}
select *
from {{ this }}
where false
{%- else %}
{%- set deliveries = ref(base) %}
{%- set delivered_in = delivered_months(deliveries, 'conversation_id', 'created_at')
    if scope == 'some' else none %}
with deliveries as (

    select
        conversation_id,
        user_id,
        role,
        content,
        model,
        channel,
        language,
        position,
        token_count,
        sentiment,
        sent_at,
        _kafka_partition,
        _kafka_offset,
        _payload_hash,
        _source_file,
        _ingested_at
    from {{ deliveries }}
    where {{ is_in_ranges('created_at', delivered_in, or_null=true) | indent(4) }}

),
{% if scope == 'some' %}
affected as (

    select distinct deliveries.conversation_id
    from deliveries
    where deliveries._ingested_at in (
            select pending.ingested_at
            from {{ files_pending(base, 'stg_kconnect__conversation_messages') }} as pending
        )

),
{% endif %}
ranked as (

    select
        deliveries.*,
        rank() over (
            partition by deliveries.conversation_id
            order by
                deliveries._kafka_offset desc,
                deliveries._kafka_partition desc,
                deliveries._payload_hash desc
        ) as _delivery_rank
    from deliveries
    {%- if scope == 'some' %}
    inner join affected
        on deliveries.conversation_id = affected.conversation_id
    {%- endif %}

)

-- A document without messages keeps its row without message_id in an incremental run, where it says
-- that the messages of earlier deliveries are gone.
select
    case
        when ranked.position is not null
            then ranked.conversation_id || ':' || cast(ranked.position as varchar)
    end as message_id,
    ranked.conversation_id,
    ranked.user_id,
    coalesce(
        cast(ranked.user_id as varchar),
        'anon:conversation:' || ranked.conversation_id
    ) as user_key,
    ranked.role,
    ranked.content,
    ranked.model,
    ranked.channel,
    ranked.language,
    ranked.position,
    ranked.token_count,
    ranked.sentiment,
    ranked.sent_at,
    ranked._kafka_partition,
    ranked._kafka_offset,
    ranked._payload_hash,
    ranked._source_file,
    ranked._ingested_at
from ranked
where ranked._delivery_rank = 1
    {%- if scope == 'all' %}
    and ranked.position is not null
    {%- endif %}
{%- endif %}
