{# Grain: one row per version of a row of << table >>, valid in [_valid_from, _valid_to).
   Keys: << key >>, _version.
   Incremental: keys of newly landed changes are recomputed from all their changes and replaced.
   Rules: silver contract (exact SCD2, collapse at one instant, epochs). #}
{{ cdc_history('<< table >>'<< "" if is_dated else ", dated_by='_valid_from'" >>) }}
