{# Grain: one row per subscription and state that a run's as-of found, valid in
     [dbt_valid_from, dbt_valid_to).
   Keys: subscription_id and dbt_valid_from.
   Incremental: dbt's check strategy on every column; none in a backfill.
   Rules: silver contract (its open rows are those of hist_dms__subscriptions). #}
{% snapshot snap_subscriptions %}
{{ config(
    strategy='check',
    unique_key='subscription_id',
    check_cols='all',
    hard_deletes='invalidate',
    post_hook=[
        "{{ forget_snapshot_taken('snap_subscriptions') }}",
        "{{ mark_snapshot_taken('snap_subscriptions') }}",
    ],
) }}
{{ snapshot_query('subscriptions') }}
{% endsnapshot %}
