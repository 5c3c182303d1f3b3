{# Grain: one row per user and state that a run's as-of found, valid in
     [dbt_valid_from, dbt_valid_to).
   Keys: user_id and dbt_valid_from.
   Incremental: dbt's timestamp strategy on the moment a run first saw the state; none in a backfill.
   Rules: silver contract (its open rows are those of hist_dms__users). #}
{% snapshot snap_users %}
{{ config(
    strategy='timestamp',
    unique_key='user_id',
    updated_at='_snapshot_at',
    hard_deletes='invalidate',
    post_hook=[
        "{{ forget_snapshot_taken('snap_users') }}",
        "{{ mark_snapshot_taken('snap_users') }}",
    ],
) }}
{{ snapshot_query('users', with_snapshot_time=true) }}
{% endsnapshot %}
