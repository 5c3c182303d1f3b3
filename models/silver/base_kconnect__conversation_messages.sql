{# Grain: one row per message of every delivered conversation document; one without position for a
     document without messages.
   Keys: _delivery_id and position (primary), conversation_id.
   Incremental: append; reads only manifest files not seen yet, anti-join on _delivery_id.
   Rules: silver contract (redelivery). #}
{{ topic_base(
    'conversations',
    feeds=['stg_kconnect__conversation_messages', 'stg_kconnect__conversations'],
    dated_by='created_at',
) }}
