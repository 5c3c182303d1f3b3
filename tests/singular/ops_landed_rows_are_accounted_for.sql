{# Accounting of ingest: for every run and source, and so for ever, what landed is accepted,
   duplicate or quarantined.
   Fails when: ingest lost a row, or counted one twice.
   Who fixes it: data_platform. #}
select
    run_sources.run_id,
    run_sources.source,
    run_sources.landed_count,
    run_sources.unaccounted_count
from {{ ref('ops_run_sources') }} as run_sources
where run_sources.unaccounted_count <> 0
