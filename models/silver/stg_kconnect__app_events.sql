{# Grain: one row per event_id.
   Keys: event_id.
   Incremental: newly delivered events, and anonymous ones whose person they may reveal, are replaced.
   Rules: silver contract (the least delivery of an event counts; user_key). #}
{{ config(
    materialized='incremental',
    incremental_strategy=replace_keys_strategy(),
    unique_key='event_id',
    on_schema_change='append_new_columns',
    post_hook="{{ mark_pending_seen('base_kconnect__app_events', this.identifier) }}",
) }}
{%- set scope = pending_scope('base_kconnect__app_events', 'stg_kconnect__app_events') %}
{%- if scope == 'none' %}
select *
from {{ this }}
where false
{%- else %}
with deliveries as (

    select
        event_id,
        event_name,
        user_id,
        anonymous_id,
        platform,
        app_version,
        region,
        country,
        properties,
        occurred_at,
        _kafka_partition,
        _kafka_offset,
        _payload_hash,
        _source_file,
        _ingested_at
    from {{ ref('base_kconnect__app_events') }}

),

identities as (

    select
        anonymous_id,
        user_id
    from {{ ref('int_kconnect__identities') }}

),
{% if scope == 'some' %}
pending as (

    select distinct ingested_at
    from {{ files_pending('base_kconnect__app_events', 'stg_kconnect__app_events') }} as pending_files

),

newly_delivered as (

    select distinct deliveries.event_id
    from deliveries
    inner join pending
        on deliveries._ingested_at = pending.ingested_at

),

-- Every anonymous_id whose person may have changed: see int_kconnect__identities.
affected_visitors as (

    select distinct deliveries.anonymous_id
    from deliveries
    inner join newly_delivered
        on deliveries.event_id = newly_delivered.event_id
    where deliveries.anonymous_id is not null

),

affected as (

    select event_id
    from newly_delivered
    union distinct
    select known.event_id
    from {{ this }} as known
    inner join affected_visitors
        on known.anonymous_id = affected_visitors.anonymous_id
    where known.user_id is null

),
{% endif %}
numbered as (

    select
        deliveries.*,
        row_number() over (
            partition by deliveries.event_id
            order by
                deliveries._kafka_partition,
                deliveries._kafka_offset,
                deliveries._payload_hash
        ) as _delivery_number
    from deliveries
    {%- if scope == 'some' %}
    inner join affected
        on deliveries.event_id = affected.event_id
    {%- endif %}

)

select
    numbered.event_id,
    numbered.event_name,
    numbered.user_id,
    numbered.anonymous_id,
    coalesce(
        cast(numbered.user_id as varchar),
        cast(identities.user_id as varchar),
        'anon:' || numbered.anonymous_id,
        'anon:event:' || numbered.event_id
    ) as user_key,
    numbered.platform,
    numbered.app_version,
    numbered.region,
    numbered.country,
    numbered.properties,
    numbered.occurred_at,
    numbered._kafka_partition,
    numbered._kafka_offset,
    numbered._payload_hash,
    numbered._source_file,
    numbered._ingested_at
from numbered
left join identities
    on numbered.anonymous_id = identities.anonymous_id
where numbered._delivery_number = 1
{%- endif %}
