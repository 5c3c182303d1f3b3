{# Grain: one row per app event of the 60 minutes before as-of.
   Keys: event_id.
   Incremental: none; gold's events of those minutes but for what landed since, and that from silver.
   Rules: R16 (nothing missing, nothing twice), R2 (active signals, internal users). #}
with gold_events as (

    select
        event_id,
        event_name,
        user_id,
        status_code,
        is_active_signal,
        occurred_at
    from {{ ref('fct_events') }}
    where source_system = 'app_events'
        and not is_internal
        and occurred_at >= {{ real_time_start() }}
        and occurred_at < {{ real_time_end() }}

),

deliveries as (

    select
        event_id,
        anonymous_id,
        _ingested_at
    from {{ ref('base_kconnect__app_events') }}

),

silver_events as (

    select
        event_id,
        event_name,
        user_id,
        anonymous_id,
        user_key,
        properties,
        occurred_at
    from {{ ref('stg_kconnect__app_events') }}

),

user_changes as (

    select
        user_id,
        is_internal,
        _ingested_at
    from {{ ref('base_dms__users') }}

),

users as (

    select
        user_id,
        is_internal
    from {{ ref('dim_users') }}

),

tracking_plan as (

    select
        event_name,
        is_active_signal
    from {{ ref('tracking_plan') }}

),

landed_facts as (

    select event_name
    from {{ ref('int_landed_facts') }}
    where is_landed

),

landed_events as (

    {{ landed_after('base_kconnect__app_events', 'fct_events') }}

),

landed_users as (

    {{ landed_after('base_dms__users', 'dim_users') }}

),

delivered as (

    select
        deliveries.event_id,
        deliveries.anonymous_id
    from deliveries
    inner join landed_events
        on deliveries._ingested_at = landed_events.ingested_at

),

-- Delivered since, or of a visitor whose person may have become known since: silver has them as
-- they are now, whether or not gold has them as they were.
touched as (

    select silver_events.event_id
    from silver_events
    inner join delivered
        on silver_events.event_id = delivered.event_id
    union distinct
    select silver_events.event_id
    from silver_events
    inner join delivered
        on silver_events.anonymous_id = delivered.anonymous_id
    where silver_events.user_id is null

),

internal_users as (

    {{ internal_users_by_now('users', 'user_changes', 'landed_users') }}

),

added as (

    select
        silver_events.event_id,
        silver_events.event_name,
        case
            when silver_events.user_key not like 'anon:%'
                then cast(silver_events.user_key as bigint)
        end as user_id,
        {{ http_status(
            "case when silver_events.event_name = 'api_request' then "
            ~ json_scalar('silver_events.properties', 'status') ~ ' end'
        ) }} as status_code,
        coalesce(tracking_plan.is_active_signal, false) as is_active_signal,
        silver_events.occurred_at
    from silver_events
    inner join touched
        on silver_events.event_id = touched.event_id
    left join tracking_plan
        on silver_events.event_name = tracking_plan.event_name
    where silver_events.occurred_at >= {{ real_time_start() }}
        and silver_events.occurred_at < {{ real_time_end() }}

),

united as (

    select
        gold_events.event_id,
        gold_events.event_name,
        gold_events.user_id,
        gold_events.status_code,
        gold_events.is_active_signal,
        true as is_from_gold,
        gold_events.occurred_at
    from gold_events
    left join touched
        on gold_events.event_id = touched.event_id
    where touched.event_id is null

    union all

    select
        event_id,
        event_name,
        user_id,
        status_code,
        is_active_signal,
        false as is_from_gold,
        occurred_at
    from added

),

-- Since gold was built somebody may have turned out to be internal, or a fact's own source landed.
final as (

    select
        united.event_id,
        united.event_name,
        united.user_id,
        united.status_code,
        united.is_active_signal,
        united.is_from_gold,
        date_trunc('minute', united.occurred_at) as minute_at,
        united.occurred_at
    from united
    left join internal_users
        on united.user_id = internal_users.user_id
    left join landed_facts
        on united.event_name = landed_facts.event_name
    where internal_users.user_id is null
        and landed_facts.event_name is null

)

select * from final
