{# R6: who is active on a period is active on it or after, and fewer and fewer are as periods pass;
   every member of a first-activity cohort is active in period 0.
   Fails when: the two modes are counted from different activity.
   Who fixes it: growth. #}
with periods as (

    select
        cohort_basis,
        cohort_grain,
        cohort_start,
        period_number,
        cohort_size,
        max(case when retention_mode = 'on' then retained_users end) as on_users,
        max(case when retention_mode = 'on_or_after' then retained_users end) as on_or_after_users
    from {{ ref('rpt_retention') }}
    where retention_mode <> 'bracket'
    group by
        cohort_basis,
        cohort_grain,
        cohort_start,
        period_number,
        cohort_size

),

followed as (

    select
        cohort_basis,
        cohort_grain,
        cohort_start,
        period_number,
        cohort_size,
        on_users,
        on_or_after_users,
        lead(on_or_after_users) over (
            partition by cohort_basis, cohort_grain, cohort_start order by period_number
        ) as next_on_or_after_users
    from periods

)

select
    cohort_basis,
    cohort_grain,
    cohort_start,
    period_number,
    cohort_size,
    on_users,
    on_or_after_users,
    next_on_or_after_users
from followed
where on_users > on_or_after_users
    or coalesce(next_on_or_after_users, on_users) > on_or_after_users
    or (next_on_or_after_users is null and on_users <> on_or_after_users)
    or (cohort_basis = 'first_activity' and period_number = 0 and on_users <> cohort_size)
