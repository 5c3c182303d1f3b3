{# Grain: one row per run and data test, as its last attempt ended.
   Keys: run_id, test_id.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: R2 (users whose row has not landed are counted: the tests orphaned_*). #}
{{ config(materialized='view') }}

with test_runs as (

    select
        recorded_node_runs.run_id,
        recorded_node_runs.unique_id as test_id,
        recorded_node_runs.schedule,
        recorded_node_runs.name as test_name,
        recorded_node_runs.model as model_name,
        recorded_node_runs.column_name,
        recorded_node_runs.severity,
        recorded_node_runs.status,
        recorded_node_runs.failures,
        recorded_node_runs.as_of,
        recorded_node_runs.started_at,
        row_number() over (
            partition by recorded_node_runs.run_id, recorded_node_runs.unique_id
            order by recorded_node_runs.position desc, recorded_node_runs.attempt desc
        ) as newest_number
    from {{ ops_relation('recorded_node_runs') }} as recorded_node_runs
    where recorded_node_runs.resource_type = 'test'

)

select
    test_runs.run_id,
    test_runs.test_id,
    test_runs.schedule,
    test_runs.test_name,
    test_runs.model_name,
    test_runs.column_name,
    test_runs.severity,
    test_runs.status,
    -- Not for a test that could not run, or was not run: how many rows fail is unknown then.
    case
        when test_runs.status in ('pass', 'warn', 'fail') then test_runs.failures
    end as failing_row_count,
    test_runs.status = 'pass' as is_passed,
    test_runs.test_name like 'orphaned%' as is_orphan_count,
    test_runs.as_of,
    test_runs.started_at as tested_at
from test_runs
where test_runs.newest_number = 1
