{# R2: nobody who was ever marked internal is in anything that figures are counted from.
   Fails when: a model reads events or people without leaving internal users out.
   Who fixes it: growth. #}
with internal_users as (

    select
        user_id,
        user_key
    from {{ ref('dim_users') }}
    where is_internal

),

counted as (

    select
        'fct_user_days' as model_name,
        cast(user_id as varchar) as user_key
    from {{ ref('fct_user_days') }}

    union all

    select
        'int_user_cohorts' as model_name,
        cast(user_id as varchar) as user_key
    from {{ ref('int_user_cohorts') }}

    union all

    select
        'fct_sessions' as model_name,
        user_key
    from {{ ref('fct_sessions') }}

    union all

    select
        'fct_funnel_attempts' as model_name,
        user_key
    from {{ ref('fct_funnel_attempts') }}

    union all

    select
        'int_registered_spans' as model_name,
        cast(user_id as varchar) as user_key
    from {{ ref('int_registered_spans') }}

    union all

    select
        'int_paying_spans' as model_name,
        cast(user_id as varchar) as user_key
    from {{ ref('int_paying_spans') }}

    union all

    select
        'rpt_customer_360' as model_name,
        user_key
    from {{ ref('rpt_customer_360') }}

)

select
    counted.model_name,
    counted.user_key
from counted
inner join internal_users
    on counted.user_key = internal_users.user_key
