{# Grain: one row per kind of id, narrow number of an id and month in which a delivery of it lies.
   Keys: kind, id_number, month_start.
   Incremental: append; what newly delivered events add. A view where no engine reads it.
   Rules: none; where statements have to look (docs/adr/0014). #}
{{ config(
    materialized=index_materialization(),
    incremental_strategy='append',
    partitioned_by=index_partitions(['kind']),
    post_hook="{{ mark_pending_indexed('base_kconnect__app_events', this.identifier) }}",
) }}
{%- set scope = pending_scope('base_kconnect__app_events', 'int_kconnect__event_months') %}
{%- if scope == 'none' %}
select *
from {{ this }}
where false
{%- else %}
{%- set base = ref('base_kconnect__app_events') %}
with deliveries as (

    select
        delivered.event_id,
        delivered.anonymous_id,
        cast(date_trunc('month', delivered.occurred_at) as date) as month_start
    from {{ base }} as delivered
    where delivered.occurred_at is not null
    {%- if scope == 'some' %}
        and {{ is_pending(base, 'delivered') | indent(8) }}
    {%- endif %}

),

landed as (

    select distinct
        'event' as kind,
        {{ narrow_number('events.event_id') }} as id_number,
        events.month_start
    from deliveries as events
    union all
    select distinct
        'visitor' as kind,
        {{ narrow_number('visitors.anonymous_id') }} as id_number,
        visitors.month_start
    from deliveries as visitors
    where visitors.anonymous_id is not null

),

-- Read once: an engine that reads what is named twice would read all numbers twice.
found as (

    select
        landed.kind,
        landed.id_number,
        landed.month_start,
        0 as held_count
    from landed
    {%- if scope == 'some' %}
    union all
    select
        held.kind,
        held.id_number,
        held.month_start,
        1 as held_count
    from {{ this }} as held
    where held.kind in ('event', 'visitor')
        and held.id_number in (
            select sought.id_number
            from landed as sought
        )
    {%- endif %}

),

months as (

    select
        found.kind,
        found.id_number,
        found.month_start,
        sum(found.held_count) as held_count
    from found
    group by
        found.kind,
        found.id_number,
        found.month_start

),

counted as (

    select
        months.kind,
        months.id_number,
        months.month_start,
        months.held_count,
        count(*) over (partition by months.kind, months.id_number) as month_count,
        sum(months.held_count) over (partition by months.kind, months.id_number)
            as held_month_count
    from months

),

kinds as (

    select
        'event' as kind,
        'event' as of_kind
    union all
    select
        'visitor' as kind,
        'visitor' as of_kind
    union all
    select
        'scattered_event' as kind,
        'event' as of_kind

)

-- An event is scattered once its deliveries lie in two months: then both are told.
select
    kinds.kind,
    counted.id_number,
    counted.month_start
from counted
inner join kinds
    on counted.kind = kinds.of_kind
where (counted.kind = kinds.kind and counted.held_count = 0)
    or (
        counted.kind <> kinds.kind
        and counted.month_count > 1
        and (counted.held_count = 0 or counted.held_month_count = 1)
    )
{%- endif %}
