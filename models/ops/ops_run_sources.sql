{# Grain: one row per run that ingested and source that it brought something from.
   Keys: run_id, source.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: accounting of ingest (landed = accepted + duplicate + quarantined). #}
{{ config(materialized='view') }}

with counted as (

    select
        recorded_run_sources.run_id,
        recorded_run_sources.source,
        recorded_run_sources.files as file_count,
        recorded_run_sources.landed as landed_count,
        recorded_run_sources.accepted as accepted_count,
        recorded_run_sources.duplicate as duplicate_count,
        recorded_run_sources.quarantined as quarantined_count,
        recorded_run_sources.pending as pending_count,
        recorded_run_sources.landed
        - recorded_run_sources.accepted
        - recorded_run_sources.duplicate
        - recorded_run_sources.quarantined as unaccounted_count
    from {{ ops_relation('recorded_run_sources') }} as recorded_run_sources

)

select
    counted.run_id,
    counted.source,
    counted.file_count,
    counted.landed_count,
    counted.accepted_count,
    counted.duplicate_count,
    counted.quarantined_count,
    counted.pending_count,
    counted.unaccounted_count,
    counted.unaccounted_count = 0 as is_accounted
from counted
