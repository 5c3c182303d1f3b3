{# Grain: one row per non-internal user who signed up or was ever active.
   Keys: user_id.
   Incremental: none; rebuilt whole.
   Rules: R5 (both cohort bases), R6 (last active date), R2 (users whose row has not landed). #}
with users as (

    select
        user_id,
        signup_date
    from {{ ref('dim_users') }}
    where not is_internal

),

user_days as (

    select
        user_id,
        activity_date
    from {{ ref('fct_user_days') }}

),

-- Activity after the last complete date does not count as retention yet.
active as (

    select
        user_id,
        min(activity_date) as first_active_date,
        max(
            case when activity_date <= {{ last_complete_date() }} then activity_date end
        ) as last_active_date
    from user_days
    group by user_id

),

final as (

    select
        coalesce(users.user_id, active.user_id) as user_id,
        users.signup_date,
        active.first_active_date,
        active.last_active_date
    from users
    full outer join active
        on users.user_id = active.user_id

)

select * from final
