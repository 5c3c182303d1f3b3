{# Grain: one row per << key >> ever seen; deleted ones stay, marked.
   Keys: << key >>.
   Incremental: keys of newly landed changes are recomputed from all their changes and replaced.
   Rules: silver contract (order of changes, deletes, epochs). #}
{{ cdc_current('<< table >>'<< "" if is_dated else ", dated_by='_committed_at'" >>) }}
