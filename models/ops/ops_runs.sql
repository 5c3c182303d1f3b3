{# Grain: one row per run: a schedule's, or an ingest outside of any schedule.
   Keys: run_id.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: accounting of ingest (landed = accepted + duplicate + quarantined). #}
{{ config(materialized='view') }}

with schedule_runs as (

    select
        recorded_schedule_runs.run_id,
        recorded_schedule_runs.schedule,
        -- One run at a time holds the lease: a later one has taken it from a run that never ended.
        case
            when recorded_schedule_runs.status = 'running'
                and lead(recorded_schedule_runs.run_id) over (
                    order by recorded_schedule_runs.started_at, recorded_schedule_runs.run_id
                ) is not null
                then 'killed'
            else recorded_schedule_runs.status
        end as status,
        recorded_schedule_runs.as_of,
        recorded_schedule_runs.started_at,
        recorded_schedule_runs.finished_at
    from {{ ops_relation('recorded_schedule_runs') }} as recorded_schedule_runs

),

ingest_runs as (

    select
        recorded_ingest_runs.run_id,
        'ingest' as schedule,
        case
            when recorded_ingest_runs.state = 'done' then 'succeeded'
            else recorded_ingest_runs.state
        end as status,
        recorded_ingest_runs.as_of,
        recorded_ingest_runs.started_at,
        recorded_ingest_runs.finished_at
    from {{ ops_relation('recorded_ingest_runs') }} as recorded_ingest_runs
    left join schedule_runs
        on recorded_ingest_runs.run_id = schedule_runs.run_id
    where schedule_runs.run_id is null

),

runs as (

    select
        schedule_runs.run_id,
        schedule_runs.schedule,
        schedule_runs.status,
        schedule_runs.as_of,
        schedule_runs.started_at,
        schedule_runs.finished_at
    from schedule_runs
    union all
    select
        ingest_runs.run_id,
        ingest_runs.schedule,
        ingest_runs.status,
        ingest_runs.as_of,
        ingest_runs.started_at,
        ingest_runs.finished_at
    from ingest_runs

),

sources as (

    select
        run_sources.run_id,
        count(*) as source_count,
        sum(run_sources.file_count) as file_count,
        sum(run_sources.landed_count) as landed_count,
        sum(run_sources.accepted_count) as accepted_count,
        sum(run_sources.duplicate_count) as duplicate_count,
        sum(run_sources.quarantined_count) as quarantined_count,
        sum(run_sources.pending_count) as pending_count,
        -- Sizes are added: a source with too many rows must not hide one with too few.
        sum(abs(run_sources.unaccounted_count)) as unaccounted_count
    from {{ ref('ops_run_sources') }} as run_sources
    group by run_sources.run_id

)

select
    runs.run_id,
    runs.schedule,
    runs.status,
    cast(coalesce(sources.source_count, 0) as bigint) as source_count,
    cast(coalesce(sources.file_count, 0) as bigint) as file_count,
    cast(coalesce(sources.landed_count, 0) as bigint) as landed_count,
    cast(coalesce(sources.accepted_count, 0) as bigint) as accepted_count,
    cast(coalesce(sources.duplicate_count, 0) as bigint) as duplicate_count,
    cast(coalesce(sources.quarantined_count, 0) as bigint) as quarantined_count,
    cast(coalesce(sources.pending_count, 0) as bigint) as pending_count,
    cast(coalesce(sources.unaccounted_count, 0) as bigint) as unaccounted_count,
    coalesce(sources.unaccounted_count, 0) = 0 as is_accounted,
    runs.as_of,
    runs.started_at,
    runs.finished_at
from runs
left join sources
    on runs.run_id = sources.run_id
