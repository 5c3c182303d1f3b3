{# Grain: one row per table, key and order value under which more than one distinct change landed.
   Keys: table_name, row_key, epoch, order_value.
   Incremental: keys of newly landed changes are looked at again and replaced.
   Rules: silver contract (order of changes: what content had to decide is counted). #}
{{ cdc_ambiguities([
    'users',
    'plans',
    'subscriptions',
    'payments',
    'conversations',
    'messages',
]) }}
