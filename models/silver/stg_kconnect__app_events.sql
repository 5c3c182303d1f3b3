{# Grain: one row per event_id.
   Keys: event_id.
   Incremental: newly delivered events, and anonymous ones whose person they may reveal, are replaced.
   Rules: silver contract (the least delivery of an event counts; user_key). #}
{{ config(
    materialized='incremental',
    incremental_strategy=replace_keys_strategy(),
    unique_key='event_id',
    partitioned_by=by_month_of('occurred_at'),
    on_schema_change='append_new_columns',
    post_hook="{{ mark_pending_seen('base_kconnect__app_events', this.identifier) }}",
    meta={
        'index': {'name': 'int_kconnect__event_months', 'base': 'base_kconnect__app_events'},
    },
) }}
{%- set scope = pending_scope('base_kconnect__app_events', 'stg_kconnect__app_events') %}
{%- if scope == 'none' %}
select *
from {{ this }}
where false
{%- else %}
{%- set base = ref('base_kconnect__app_events') %}
{%- set index = ref('int_kconnect__event_months') %}
{%- set months = months_concerned(base, index) if scope == 'some' else {} %}
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
    from {{ base }}
    where {{ is_in_ranges('occurred_at', months.get('delivered'), or_null=true) | indent(4) }}

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

-- Of them no delivery landed, so that what is known of them holds but for the person.
revealed as (

    select
        known.event_id,
        known.event_name,
        known.user_id,
        known.anonymous_id,
        known.platform,
        known.app_version,
        known.region,
        known.country,
        known.properties,
        known.occurred_at,
        known._kafka_partition,
        known._kafka_offset,
        known._payload_hash,
        known._source_file,
        known._ingested_at
    from {{ this }} as known
    inner join affected_visitors
        on known.anonymous_id = affected_visitors.anonymous_id
    left join newly_delivered
        on known.event_id = newly_delivered.event_id
    where known.user_id is null
        and newly_delivered.event_id is null
        and {{ is_in_ranges('known.occurred_at', months.get('visited'), or_null=true) | indent(8) }}

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
    inner join newly_delivered
        on deliveries.event_id = newly_delivered.event_id
    {%- endif %}

),

settled as (

    select
        numbered.event_id,
        numbered.event_name,
        numbered.user_id,
        numbered.anonymous_id,
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
    where numbered._delivery_number = 1
    {%- if scope == 'some' %}
    union all
    select
        revealed.event_id,
        revealed.event_name,
        revealed.user_id,
        revealed.anonymous_id,
        revealed.platform,
        revealed.app_version,
        revealed.region,
        revealed.country,
        revealed.properties,
        revealed.occurred_at,
        revealed._kafka_partition,
        revealed._kafka_offset,
        revealed._payload_hash,
        revealed._source_file,
        revealed._ingested_at
    from revealed
    {%- endif %}

)

select
    settled.event_id,
    settled.event_name,
    settled.user_id,
    settled.anonymous_id,
    coalesce(
        cast(settled.user_id as varchar),
        cast(identities.user_id as varchar),
        'anon:' || settled.anonymous_id,
        'anon:event:' || settled.event_id
    ) as user_key,
    settled.platform,
    settled.app_version,
    settled.region,
    settled.country,
    settled.properties,
    settled.occurred_at,
    settled._kafka_partition,
    settled._kafka_offset,
    settled._payload_hash,
    settled._source_file,
    settled._ingested_at
from settled
left join identities
    on settled.anonymous_id = identities.anonymous_id
{%- endif %}
