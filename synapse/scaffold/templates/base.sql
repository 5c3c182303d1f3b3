{# Grain: one row per distinct change of a row of << table >> that landed.
   Keys: _change_id (primary), << key >>.
   Incremental: append; reads only manifest files not seen yet, anti-join on _change_id.
   Rules: silver contract (identity of a change, redelivery). #}
{{ cdc_base('<< table >>'<< "" if is_dated else ", dated_by='_committed_at'" >>) }}
