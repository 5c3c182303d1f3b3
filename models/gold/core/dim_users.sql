{# Grain: one row per landed user, deleted ones included.
   Keys: user_id.
   Incremental: none; rebuilt whole from the current state and all changes.
   Rules: R1, R2 (internal for all time), R5 (sign-up date), R16 (which files it has taken up). #}
{{ config(
    pre_hook="{{ prepare_pseudonyms() }}",
    post_hook="{{ mark_pending_seen('base_dms__users', this.identifier) }}",
) }}

with users as (

    select
        user_id,
        cpf,
        email,
        phone,
        region,
        country,
        language,
        acquisition_channel,
        status,
        is_internal,
        _is_deleted,
        created_at
    from {{ ref('stg_dms__users') }}

),

user_changes as (

    select
        user_id,
        is_internal
    from {{ ref('base_dms__users') }}

),

-- Once staff, always staff: their past would otherwise enter the numbers when they leave. Every
-- change is asked, also one that was undone at the same instant and so made no version.
ever_internal as (

    select distinct user_id
    from user_changes
    where is_internal

),

final as (

    select
        users.user_id,
        cast(users.user_id as varchar) as user_key,
        {{ pseudonym(digits_only('users.cpf')) }} as cpf_pseudonym,
        {{ pseudonym('lower(trim(users.email))') }} as email_pseudonym,
        {{ pseudonym(digits_only('users.phone')) }} as phone_pseudonym,
        users.region,
        users.country,
        users.language,
        users.acquisition_channel,
        users.status,
        coalesce(users.is_internal, false) or ever_internal.user_id is not null as is_internal,
        users._is_deleted or coalesce(users.status, '') = 'deleted' as is_deleted,
        {{ business_date('users.created_at') }} as signup_date,
        users.created_at as signed_up_at
    from users
    left join ever_internal
        on users.user_id = ever_internal.user_id

)

select * from final
