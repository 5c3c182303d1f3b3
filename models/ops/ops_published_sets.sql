{# Grain: one row per set that was published.
   Keys: set_number.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: readers see the newest set, from when it was published until the next one is. #}
{{ config(materialized='view') }}

with runs as (

    select
        ops_runs.run_id,
        ops_runs.schedule
    from {{ ref('ops_runs') }} as ops_runs

),

sets as (

    select
        published_sets.number as set_number,
        published_sets.set_id,
        published_sets.run_id,
        published_sets.as_of,
        published_sets.published_at,
        lead(published_sets.published_at) over (order by published_sets.number) as replaced_at
    from {{ ops_relation('recorded_published_sets') }} as published_sets

)

select
    sets.set_number,
    sets.set_id,
    sets.run_id,
    runs.schedule,
    sets.replaced_at is null as is_current,
    sets.as_of,
    sets.published_at,
    sets.replaced_at
from sets
left join runs
    on sets.run_id = runs.run_id
