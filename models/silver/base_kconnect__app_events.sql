{# Grain: one row per distinct delivery of an app event.
   Keys: _delivery_id (primary), event_id.
   Incremental: append; reads only manifest files not seen yet, anti-join on _delivery_id.
   Rules: silver contract (redelivery). #}
{{ topic_base(
    'app_events',
    feeds=[
        'int_kconnect__event_months',
        'int_kconnect__identities',
        'stg_kconnect__app_events',
    ],
    dated_by='occurred_at',
) }}
