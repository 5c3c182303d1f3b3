{# Grain: one row per cohort basis and member, described as at the end of the cohort date.
   Keys: cohort_basis, user_id.
   Incremental: none; rebuilt whole.
   Rules: R5 (both cohort bases), R14 (dimensions at a date's end), R13 (segment), R2. #}
with user_cohorts as (

    select
        user_id,
        signup_date,
        first_active_date
    from {{ ref('int_user_cohorts') }}

),

user_history as (

    select
        user_id,
        region,
        country,
        acquisition_channel,
        plan_code,
        applies_from_date,
        applies_to_date
    from {{ ref('dim_users_history') }}

),

user_segments as (

    select
        user_id,
        segment,
        applies_from_date,
        applies_to_date
    from {{ ref('int_user_segments') }}

),

user_days as (

    select
        user_id,
        platform,
        event_region,
        event_country,
        activity_date
    from {{ ref('fct_user_days') }}

),

members as (

    select
        'signup' as cohort_basis,
        user_id,
        signup_date as cohort_date
    from user_cohorts
    where signup_date <= {{ last_complete_date() }}

    union all

    select
        'first_activity' as cohort_basis,
        user_id,
        first_active_date as cohort_date
    from user_cohorts
    where first_active_date <= {{ last_complete_date() }}

),

final as (

    select
        members.cohort_basis,
        members.user_id,
        coalesce(user_days.platform, 'unknown') as platform,
        coalesce(user_history.region, user_days.event_region, 'unknown') as region,
        coalesce(user_history.country, user_days.event_country, 'unknown') as country,
        coalesce(user_history.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(user_history.plan_code, 'unknown') as plan_code,
        coalesce(user_segments.segment, 'unknown') as segment,
        members.cohort_date
    from members
    left join user_history
        on members.user_id = user_history.user_id
            and members.cohort_date >= user_history.applies_from_date
            and members.cohort_date < user_history.applies_to_date
    left join user_segments
        on members.user_id = user_segments.user_id
            and members.cohort_date >= user_segments.applies_from_date
            and members.cohort_date < user_segments.applies_to_date
    left join user_days
        on members.user_id = user_days.user_id
            and members.cohort_date = user_days.activity_date

)

select * from final
