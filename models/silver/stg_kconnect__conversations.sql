{# Grain: one row per conversation document, as its latest delivery holds it.
   Keys: conversation_id.
   Incremental: conversations delivered anew are recomputed and replaced.
   Rules: silver contract (a document is a state: its latest delivery counts; user_key). #}
{{ config(
    materialized='incremental',
    incremental_strategy=replace_keys_strategy(),
    unique_key='conversation_id',
    partitioned_by=by_month_of('created_at'),
    on_schema_change='append_new_columns',
    post_hook="{{ mark_pending_seen('base_kconnect__conversation_messages', this.identifier) }}",
) }}
{%- set base = 'base_kconnect__conversation_messages' %}
{%- set scope = pending_scope(base, 'stg_kconnect__conversations') %}
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
        channel,
        language,
        tags,
        position,
        created_at,
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
            from {{ files_pending(base, 'stg_kconnect__conversations') }} as pending
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

-- All rows of one delivery carry the same document columns: max picks that one value.
select
    ranked.conversation_id,
    max(ranked.user_id) as user_id,
    coalesce(
        cast(max(ranked.user_id) as varchar),
        'anon:conversation:' || ranked.conversation_id
    ) as user_key,
    max(ranked.channel) as channel,
    max(ranked.language) as language,
    max(ranked.tags) as tags,
    cast(count(ranked.position) as integer) as message_count,
    max(ranked.created_at) as created_at,
    max(ranked.sent_at) as last_message_at,
    max(ranked._kafka_partition) as _kafka_partition,
    max(ranked._kafka_offset) as _kafka_offset,
    max(ranked._payload_hash) as _payload_hash,
    max(ranked._source_file) as _source_file,
    max(ranked._ingested_at) as _ingested_at
from ranked
where ranked._delivery_rank = 1
group by ranked.conversation_id
{%- endif %}
