{# Grain: one row per person who is, or once was, internal.
   Keys: user_id.
   Incremental: none; few rows.
   Rules: R2 (internal users). Facts ask of each of their rows whether its person is one of these: a table of few rows
   costs them nothing, where dim_users costs its pseudonyms too (docs/scale.md). #}
with users as (

    select
        user_id,
        is_internal
    from {{ ref('dim_users') }}

)

select user_id
from users
where is_internal
