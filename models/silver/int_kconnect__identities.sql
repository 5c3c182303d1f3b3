{# Grain: one row per anonymous_id that was ever seen with a user_id.
   Keys: anonymous_id.
   Incremental: anonymous_ids of newly delivered events are recomputed and replaced.
   Rules: silver contract (an anonymous_id belongs to the user of its least sighting). #}
{{ config(
    materialized='incremental',
    incremental_strategy=replace_keys_strategy(),
    unique_key='anonymous_id',
    on_schema_change='append_new_columns',
    post_hook="{{ mark_pending_seen('base_kconnect__app_events', this.identifier) }}",
    meta={'void_column': 'user_id'},
) }}
{%- set scope = pending_scope('base_kconnect__app_events', 'int_kconnect__identities') %}
{%- if scope == 'none' %}
select *
from {{ this }}
where false
{%- else %}
{%- set base = ref('base_kconnect__app_events') %}
{%- set index = ref('int_kconnect__event_months') %}
{%- set considered_in = months_concerned(base, index, is_considered=true).considered
    if scope == 'some' else none %}
with deliveries as (

    select
        event_id,
        anonymous_id,
        user_id,
        occurred_at,
        _payload_hash,
        _ingested_at,
        _kafka_partition,
        _kafka_offset
    from {{ base }}
    where {{ is_in_ranges('occurred_at', considered_in, or_null=true) | indent(4) }}

),
{% if scope == 'some' %}
pending as (

    select distinct ingested_at
    from {{ files_pending('base_kconnect__app_events', 'int_kconnect__identities') }} as pending_files

),

-- A delivery may change which one of an event's deliveries counts, and so free the anonymous_id that
-- an earlier winner named: every delivery of the event has a say in what is affected.
affected as (

    select distinct deliveries.anonymous_id
    from deliveries
    where deliveries.anonymous_id is not null
        and deliveries.event_id in (
            select newly.event_id
            from deliveries as newly
            inner join pending
                on newly._ingested_at = pending.ingested_at
        )

),

considered as (

    select deliveries.*
    from deliveries
    where deliveries.event_id in (
            select named.event_id
            from deliveries as named
            inner join affected
                on named.anonymous_id = affected.anonymous_id
        )

),
{% else %}
considered as (

    select *
    from deliveries

),
{% endif %}
numbered as (

    select
        considered.*,
        row_number() over (
            partition by considered.event_id
            order by
                considered._kafka_partition,
                considered._kafka_offset,
                considered._payload_hash
        ) as _delivery_number
    from considered

),

sightings as (

    select
        numbered.anonymous_id,
        numbered.user_id,
        row_number() over (
            partition by numbered.anonymous_id
            order by
                numbered.occurred_at,
                numbered.event_id
        ) as _sighting_number
    from numbered
    where numbered._delivery_number = 1
        and numbered.anonymous_id is not null
        and numbered.user_id is not null

)
{% if scope == 'some' %}
select
    affected.anonymous_id,
    sightings.user_id
from affected
left join sightings
    on affected.anonymous_id = sightings.anonymous_id
    and sightings._sighting_number = 1
{%- else %}
select
    anonymous_id,
    user_id
from sightings
where _sighting_number = 1
{%- endif %}
{%- endif %}
