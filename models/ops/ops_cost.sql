{# Grain: one row per run, UTC date and dbt node that the run's queries were sent for.
   Keys: run_id, billing_date, node_id.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: prices of synapse/cost/prices.py; on an engine that does not charge by the byte there are no rows. #}
{{ config(materialized='view') }}

with query_costs as (

    select
        recorded_query_costs.run_id,
        recorded_query_costs.node_id,
        recorded_query_costs.queries as query_count,
        recorded_query_costs.charged_queries as charged_query_count,
        recorded_query_costs.failed_queries as failed_query_count,
        recorded_query_costs.cancelled_queries as cancelled_query_count,
        recorded_query_costs.scanned_bytes,
        recorded_query_costs.charged_mb,
        recorded_query_costs.cost_nanodollars,
        recorded_query_costs.first_submitted_at,
        recorded_query_costs.last_ended_at
    from {{ ops_relation('recorded_query_costs') }} as recorded_query_costs

),

schedule_runs as (

    select
        recorded_schedule_runs.run_id,
        recorded_schedule_runs.schedule
    from {{ ops_relation('recorded_schedule_runs') }} as recorded_schedule_runs

)

select
    query_costs.run_id,
    query_costs.node_id,
    -- What belongs to no schedule names its kind before the hyphen: dbt-…, maintain-….
    coalesce(schedule_runs.schedule, split_part(query_costs.run_id, '-', 1)) as schedule,
    case
        when query_costs.node_id like '%.%.%' then split_part(query_costs.node_id, '.', 1)
        else 'other'
    end as resource_type,
    case
        when query_costs.node_id like '%.%.%' then split_part(query_costs.node_id, '.', 3)
        else query_costs.node_id
    end as node_name,
    query_costs.query_count,
    query_costs.charged_query_count,
    query_costs.failed_query_count,
    query_costs.cancelled_query_count,
    query_costs.scanned_bytes,
    query_costs.charged_mb,
    -- Billionths are whole, so the product is exact.
    cast(
        cast(query_costs.cost_nanodollars as decimal(18, 0)) * {{ decimal_literal('0.000000001') }}
        as decimal(18, 9)
    ) as cost_usd,
    cast(query_costs.first_submitted_at as date) as billing_date,
    query_costs.first_submitted_at,
    query_costs.last_ended_at
from query_costs
left join schedule_runs
    on query_costs.run_id = schedule_runs.run_id
