{# Grain: one row per distinct change of a row of conversations that landed.
   Keys: _change_id (primary), conversation_id.
   Incremental: append; reads only manifest files not seen yet, anti-join on _change_id.
   Rules: silver contract (identity of a change, redelivery). #}
{{ cdc_base('conversations') }}
