{# R5: in each basis and grain the cohorts together hold everybody who joined by the last complete
   date, once; and every new user of rpt_active_users_daily is in a first-activity cohort.
   Fails when: a person is in two cohorts of a grain or in none.
   Who fixes it: growth. #}
with people as (

    select
        signup_date,
        first_active_date
    from {{ ref('int_user_cohorts') }}

),

expected as (

    select
        'signup' as cohort_basis,
        count(*) as member_count
    from people
    where signup_date <= {{ last_complete_date() }}

    union all

    select
        'first_activity' as cohort_basis,
        coalesce(sum(new_users), 0) as member_count
    from {{ ref('rpt_active_users_daily') }}
    where is_complete

),

cohorts as (

    select distinct
        cohort_basis,
        cohort_grain,
        cohort_start,
        cohort_size
    from {{ ref('rpt_retention') }}

),

found as (

    select
        cohort_basis,
        cohort_grain,
        sum(cohort_size) as member_count
    from cohorts
    group by
        cohort_basis,
        cohort_grain

)

select
    found.cohort_basis,
    found.cohort_grain,
    found.member_count,
    expected.member_count as expected_count
from found
inner join expected
    on found.cohort_basis = expected.cohort_basis
where found.member_count <> expected.member_count
