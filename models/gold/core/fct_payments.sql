{# Grain: one row per living payment.
   Keys: payment_id.
   Incremental: payments of which a change landed, however old they are, and those of people who turned
   out to be internal.
   Rules: R1, R16 (which files it has taken up). Amounts stay in cents of their own currency;
   currencies are never added together. #}
{{ incremental_fact(
    key='payment_id',
    void='was_paid',
    dated_by='created_at',
    reads=['stg_dms__payments', 'dim_users'],
) }}
{%- set scope = fact_scope() %}
{%- set landed = {
    'payments': incremental_ref('base_dms__payments'),
    'users': incremental_ref('base_dms__users'),
} %}
{%- set bounds = none %}
{%- if scope == 'some' %}
    {%- set changed = landed_keys(
        'payments', landed.payments, 'payment_id', ['stg_dms__payments']
    ) %}
    {%- set internal = newly_internal(landed.users) %}
    {%- set bounds = none if internal.anybody else changed.bounds %}
{%- endif %}
with internal_users as (

    select user_id
    from {{ ref('int_internal_users') }}

),
{% if scope == 'some' %}
{{ changed.ctes }}

touched as (

    select payment_id
    from touched_payments
    {%- if internal.anybody %}
    union distinct
    select existing.payment_id
    from {{ this }} as existing
    inner join internal_users
        on existing.user_id = internal_users.user_id
    where not existing.is_internal
        and {{ is_in_ranges('existing.user_id', internal.ranges) }}
    {%- endif %}

),

stored_payments as (

    {{ rows_of_keys(
        ref('stg_dms__payments'), ['payment_id'], 'touched',
        ['payment_id', 'user_id', 'subscription_id', 'currency', 'status', 'amount_cents',
         'created_at', 'paid_at', '_is_deleted'],
        bounds=bounds, pointer=false
    ) }}

),

payments as (

    select *
    from stored_payments
    where not _is_deleted

),
{% else %}
payments as (

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
{% endif %}
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
        internal_users.user_id is not null as is_internal,
        {{ business_date('payments.paid_at') }} as paid_date,
        payments.created_at,
        payments.paid_at
    from payments
    left join internal_users
        on payments.user_id = internal_users.user_id

)

{% set is_touched = 'existing.payment_id in (select touched.payment_id from touched)' -%}
{{ changed_rows('final', scope, [{'where': is_touched, 'bounds': bounds}]) }}
