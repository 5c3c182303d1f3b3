{# Grain: one row per run that asked and source, as old as the source was.
   Keys: run_id, source_id.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: a source that never landed is not late (macros/ops/collect_freshness.sql). #}
{{ config(materialized='view') }}

select
    source_ages.run_id,
    source_ages.unique_id as source_id,
    source_ages.source as source_name,
    source_ages.status,
    source_ages.age_seconds,
    source_ages.warn_after_seconds,
    source_ages.error_after_seconds,
    source_ages.status <> 'pass' as is_late,
    source_ages.max_loaded_at,
    source_ages.as_of,
    source_ages.checked_at
from {{ ops_relation('recorded_source_ages') }} as source_ages
