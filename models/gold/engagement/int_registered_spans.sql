{# Grain: one row per registered, non-internal person and span of dates in which nothing changed.
   Keys: user_id, applies_from_date.
   Incremental: none; rebuilt whole from the histories.
   Rules: R13 (who is registered on a date), R14 (dimensions at a date's end), R2. #}
with users as (

    select
        user_id,
        signup_date
    from {{ ref('dim_users') }}
    where not is_internal

),

versions as (

    select
        user_id,
        region,
        country,
        acquisition_channel,
        status,
        plan_code,
        applies_from_date,
        applies_to_date,
        valid_from
    from {{ ref('dim_users_history') }}

),

-- Somebody whose row tells no sign-up is registered since it was first seen.
joined as (

    select
        versions.user_id,
        coalesce(versions.region, 'unknown') as region,
        coalesce(versions.country, 'unknown') as country,
        coalesce(versions.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(versions.status, '') as status,
        versions.plan_code,
        coalesce(
            users.signup_date,
            {{ business_date('min(versions.valid_from) over (partition by versions.user_id)') }}
        ) as joined_date,
        versions.applies_from_date,
        versions.applies_to_date
    from versions
    inner join users
        on versions.user_id = users.user_id

),

final as (

    select
        user_id,
        region,
        country,
        acquisition_channel,
        plan_code,
        joined_date,
        greatest(applies_from_date, joined_date) as applies_from_date,
        applies_to_date
    from joined
    where status <> 'deleted'
        and greatest(applies_from_date, joined_date) < applies_to_date

)

select * from final
