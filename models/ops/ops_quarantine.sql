{# Grain: one row per row, record or file that ingest refused.
   Keys: quarantine_id.
   Incremental: none, a view of what the runner recorded.
   Rules: silver contract (what is refused is kept); the sentence that quotes it stays in the lake. #}
{{ config(materialized='view') }}

select
    quarantined.id as quarantine_id,
    quarantined.source,
    quarantined.unit,
    quarantined.path,
    quarantined.rule,
    quarantined.state,
    quarantined.reason,
    quarantined.number,
    quarantined.attempts as attempt_count,
    quarantined.state = 'open' as is_open,
    quarantined.first_seen as first_seen_at,
    quarantined.last_attempt as last_attempt_at
from {{ ops_relation('recorded_quarantine') }} as quarantined
