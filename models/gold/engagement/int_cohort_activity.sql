{# Grain: one row per cohort basis, cohort date and date on which members of it were active.
   Keys: cohort_basis, cohort_date, activity_date.
   Incremental: none; rebuilt whole from one ordered pass over the user-days.
   Rules: R6 (distinct users of a day, week, month and bracket), R5. #}
with user_cohorts as (

    select
        user_id,
        signup_date,
        first_active_date
    from {{ ref('int_user_cohorts') }}

),

user_days as (

    select
        user_id,
        activity_date
    from {{ ref('fct_user_days') }}
    where activity_date <= {{ last_complete_date() }}

),

followed as (

    select
        user_id,
        activity_date,
        lag(activity_date) over (partition by user_id order by activity_date) as previous_date
    from user_days

),

-- A user counts once in a period: on their first active day of it. Sums over days are then exact
-- counts of distinct users, and weeks and months cost no second pass.
flagged as (

    select
        user_id,
        activity_date,
        previous_date,
        case
            when previous_date >= cast(date_trunc('week', activity_date) as date) then 0 else 1
        end as is_first_of_week,
        case
            when previous_date >= cast(date_trunc('month', activity_date) as date) then 0 else 1
        end as is_first_of_month
    from followed

),

based as (
    {% for basis, cohort_date in [
        ('signup', 'signup_date'), ('first_activity', 'first_active_date')
    ] %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        '{{ basis }}' as cohort_basis,
        user_cohorts.{{ cohort_date }} as cohort_date,
        flagged.activity_date,
        flagged.is_first_of_week,
        flagged.is_first_of_month,
        {{ retention_bracket_start(periods_between(
            'day', 'user_cohorts.' ~ cohort_date, 'flagged.activity_date'
        )) }} as bracket_start,
        {{ retention_bracket_start(periods_between(
            'day', 'user_cohorts.' ~ cohort_date, 'flagged.previous_date'
        )) }} as previous_bracket_start
    from flagged
    inner join user_cohorts
        on flagged.user_id = user_cohorts.user_id
    -- A person known by an earlier device is active before a sign-up that is still to come.
    where user_cohorts.{{ cohort_date }} <= {{ last_complete_date() }}
    {% endfor %}
),

final as (

    select
        cohort_basis,
        count(*) as active_users,
        cast(sum(is_first_of_week) as bigint) as first_of_week_users,
        cast(sum(is_first_of_month) as bigint) as first_of_month_users,
        cast(
            sum(
                case
                    when bracket_start = previous_bracket_start or bracket_start is null then 0
                    else 1
                end
            ) as bigint
        ) as first_of_bracket_users,
        cohort_date,
        activity_date
    from based
    group by
        cohort_basis,
        cohort_date,
        activity_date

)

select * from final
