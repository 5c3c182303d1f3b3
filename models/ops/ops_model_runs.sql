{# Grain: one row per run and model, seed or snapshot that it was to build, by its last attempt.
   Keys: run_id, node_id.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: no message of dbt is kept, since it can quote what people wrote. #}
{{ config(materialized='view') }}

with node_runs as (

    select
        recorded_node_runs.run_id,
        recorded_node_runs.unique_id as node_id,
        recorded_node_runs.schedule,
        recorded_node_runs.step,
        recorded_node_runs.resource_type,
        recorded_node_runs.name as model_name,
        recorded_node_runs.status,
        recorded_node_runs.rows_affected,
        recorded_node_runs.milliseconds,
        recorded_node_runs.started_at,
        row_number() over (
            partition by recorded_node_runs.run_id, recorded_node_runs.unique_id
            order by recorded_node_runs.position desc, recorded_node_runs.attempt desc
        ) as newest_number,
        count(*) over (
            partition by recorded_node_runs.run_id, recorded_node_runs.unique_id
        ) as attempt_count,
        sum(recorded_node_runs.milliseconds) over (
            partition by recorded_node_runs.run_id, recorded_node_runs.unique_id
        ) as total_milliseconds
    from {{ ops_relation('recorded_node_runs') }} as recorded_node_runs
    where recorded_node_runs.resource_type in ('model', 'seed', 'snapshot')

)

select
    node_runs.run_id,
    node_runs.node_id,
    node_runs.schedule,
    node_runs.step,
    node_runs.resource_type,
    node_runs.model_name,
    node_runs.status,
    node_runs.attempt_count,
    node_runs.rows_affected as affected_row_count,
    -- Thousandths are whole, so the product is exact.
    cast(
        cast(node_runs.milliseconds as decimal(18, 0)) * {{ decimal_literal('0.001') }}
        as decimal(18, 3)
    ) as execution_seconds,
    cast(
        cast(node_runs.total_milliseconds as decimal(18, 0)) * {{ decimal_literal('0.001') }}
        as decimal(18, 3)
    ) as total_seconds,
    node_runs.status = 'success' as is_built,
    node_runs.started_at
from node_runs
where node_runs.newest_number = 1
