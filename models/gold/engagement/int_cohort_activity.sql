{# Grain: one row per cohort basis, cohort date and date on which members of it were active.
   Keys: cohort_basis, cohort_date, activity_date.
   Incremental: none; rebuilt whole from one scan of the user-days, which sorts nothing.
   Rules: R6 (distinct users of a day, week, month and bracket), R5. #}
{%- set cohort_dates = {'signup': 'signup_date', 'first_activity': 'first_active_date'} -%}
{%- set bracket_users = {
    'signup': 'signup_bracket_users',
    'first_activity': 'case when signup_date is distinct from first_active_date'
        ~ ' then other_bracket_users else signup_bracket_users end',
} -%}

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
        activity_date,
        -- Nothing before: earlier than every period, so that no comparison is unknown.
        coalesce(previous_activity_date, date '0001-01-01') as previous_date
    from {{ ref('fct_user_days') }}

),

dates as (

    select
        date_day,
        week_start_date,
        month_start_date
    from {{ ref('dim_dates') }}

),

-- One join for both bases: the first active date is the sign-up date for most, so the cells of both
-- dates are few.
aged_days as (

    select
        user_cohorts.signup_date,
        user_cohorts.first_active_date,
        user_days.activity_date,
        user_days.previous_date,
        dates.week_start_date,
        dates.month_start_date,
        {{ periods_between('day', 'user_cohorts.signup_date', 'user_days.activity_date') }}
            as signup_day_number,
        {{ periods_between('day', 'user_cohorts.first_active_date', 'user_days.activity_date') }}
            as first_activity_day_number
    from user_days
    inner join dates
        on user_days.activity_date = dates.date_day
    inner join user_cohorts
        on user_days.user_id = user_cohorts.user_id

),

-- A user counts once in a period, on their first active day of it: sums over days are then exact
-- counts of distinct users, and weeks and months cost no second pass. Brackets of the first active
-- date are asked for where it is not the sign-up date; where it is, they are those of the sign-up.
cells as (

    select
        count(*) as active_users,
        count(case when previous_date < week_start_date then 1 end) as first_of_week_users,
        count(case when previous_date < month_start_date then 1 end) as first_of_month_users,
        count(
            case when previous_date < {{ date_add_days(
                'signup_date', retention_bracket_start('signup_day_number')
            ) }} then 1 end
        ) as signup_bracket_users,
        count(
            case
                when signup_date is distinct from first_active_date
                    and previous_date < {{ date_add_days(
                        'first_active_date', retention_bracket_start('first_activity_day_number')
                    ) }}
                    then 1
            end
        ) as other_bracket_users,
        signup_date,
        first_active_date,
        activity_date
    from aged_days
    group by
        signup_date,
        first_active_date,
        activity_date

),

final as (
    {% for basis, cohort_date in cohort_dates.items() %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        '{{ basis }}' as cohort_basis,
        cast(sum(active_users) as bigint) as active_users,
        cast(sum(first_of_week_users) as bigint) as first_of_week_users,
        cast(sum(first_of_month_users) as bigint) as first_of_month_users,
        cast(
            sum({{ bracket_users[basis] }}) as bigint
        ) as first_of_bracket_users,
        {{ cohort_date }} as cohort_date,
        activity_date
    from cells
    -- A person known by an earlier device is active before a sign-up that is still to come. Of the
    -- cells and not of the user-days: DuckDB cannot tell how many of those a subquery's answer
    -- leaves, and builds its hash table of them.
    where {{ cohort_date }} <= {{ last_complete_date() }}
        and activity_date <= {{ last_complete_date() }}
    group by
        {{ cohort_date }},
        activity_date
    {% endfor %}
)

select * from final
