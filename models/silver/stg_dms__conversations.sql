{# Grain: one row per conversation_id ever seen; deleted ones stay, marked.
   Keys: conversation_id.
   Incremental: keys of newly landed changes are recomputed from all their changes and replaced.
   Rules: silver contract (order of changes, deletes, epochs). #}
{{ cdc_current('conversations') }}
