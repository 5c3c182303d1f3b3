{# Grain: one row per living payment.
   Keys: payment_id.
   Incremental: none; rebuilt whole from the current state.
   Rules: R1, R16 (which files it has taken up). Amounts stay in cents of their own currency;
   currencies are never added together. #}
{{ config(post_hook="{{ mark_pending_seen('stg_dms__payments', this.identifier) }}") }}

with payments as (

    select
        payment_id,
        user_id,
        subscription_id,
        currency,
        status,
        amount_cents,
        created_at,
        paid_at
    from {{ ref('stg_dms__payments') }}
    where not _is_deleted

),

users as (

    select
        user_id,
        is_internal
    from {{ ref('dim_users') }}

),

final as (

    select
        payments.payment_id,
        payments.user_id,
        payments.subscription_id,
        payments.currency,
        payments.status,
        payments.amount_cents,
        -- A refund gives money back; the customer had paid all the same.
        payments.paid_at is not null
        and coalesce(payments.status, '') in ('paid', 'refunded') as was_paid,
        coalesce(payments.status, '') = 'paid' as is_paid,
        coalesce(users.is_internal, false) as is_internal,
        {{ business_date('payments.paid_at') }} as paid_date,
        payments.created_at,
        payments.paid_at
    from payments
    left join users
        on payments.user_id = users.user_id

)

select * from final
