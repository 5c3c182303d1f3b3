{# Grain: one row per subscription_id ever seen; deleted ones stay, marked.
   Keys: subscription_id.
   Incremental: keys of newly landed changes are recomputed from all their changes and replaced.
   Rules: silver contract (order of changes, deletes, epochs). #}
{{ cdc_current('subscriptions') }}
