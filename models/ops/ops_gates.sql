{# Grain: one row per run, model that it left out and stale source for which it did.
   Keys: run_id, model_name, source_name.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: a model that requires a fresh source is not built while that source is stale. #}
{{ config(materialized='view') }}

with runs as (

    select
        ops_runs.run_id,
        ops_runs.schedule,
        ops_runs.as_of,
        ops_runs.started_at
    from {{ ref('ops_runs') }} as ops_runs

)

select
    run_gates.run_id,
    runs.schedule,
    run_gates.model as model_name,
    run_gates.source as source_name,
    run_gates.needs as needed_model_name,
    run_gates.reason as gate_reason,
    runs.as_of,
    runs.started_at
from {{ ops_relation('recorded_run_gates') }} as run_gates
left join runs
    on run_gates.run_id = runs.run_id
