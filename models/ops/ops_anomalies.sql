{# Grain: one row per run, kind and subject that was unlike the weeks before.
   Keys: run_id, anomaly_kind, subject.
   Incremental: none, a view of what the runner recorded, so it tells of the last run too.
   Rules: synapse/observe/anomalies.py (median and MAD of the same hour, or day, of the last weeks). #}
{{ config(materialized='view') }}

select
    anomalies.run_id,
    anomalies.kind as anomaly_kind,
    anomalies.subject,
    anomalies.schedule,
    anomalies.observed as observed_value,
    anomalies.median as median_value,
    anomalies.deviation as deviation_value,
    anomalies.points as compared_count,
    anomalies.observed > anomalies.median as is_above,
    anomalies.as_of,
    anomalies.found_at
from {{ ops_relation('recorded_anomalies') }} as anomalies
