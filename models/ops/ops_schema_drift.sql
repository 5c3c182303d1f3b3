{# Grain: one row per source, column and kind of change that a landed file showed.
   Keys: source, column_name, change.
   Incremental: none, a view of what the runner recorded.
   Rules: silver contract (drift is recorded and no reason to refuse). #}
{{ config(materialized='view') }}

select
    schema_drift.source,
    schema_drift.column_name,
    schema_drift.change,
    schema_drift.physical_type,
    schema_drift.path,
    schema_drift.run_id,
    schema_drift.first_seen as first_seen_at,
    schema_drift.last_seen as last_seen_at
from {{ ops_relation('recorded_schema_drift') }} as schema_drift
