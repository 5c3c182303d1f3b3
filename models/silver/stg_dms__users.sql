{# Grain: one row per user_id ever seen; deleted ones stay, marked.
   Keys: user_id.
   Incremental: keys of newly landed changes are recomputed from all their changes and replaced.
   Rules: silver contract (order of changes, deletes, epochs). #}
{{ cdc_current('users') }}
