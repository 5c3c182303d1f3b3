{# Grain: one row per dimension and value, cohort basis, grain and start, and begun period.
   Keys: dimension_name, dimension_value, cohort_basis, cohort_grain, cohort_start, period_number.
   Incremental: none; rebuilt whole from scans of the user-days, which sort nothing.
   Rules: R6 (mode on, maturity), R5 (cohorts), R14 (members as at their cohort date), R1. #}
{%- set grains = cohort_grain_names() -%}
{%- set headline_days = [1, 7, 30] -%}

with cohort_members as (

    select
        cohort_basis,
        user_id,
        {%- for column in dimensions().values() %}
        {{ column }},
        {%- endfor %}
        cohort_date
    from {{ ref('int_cohort_members') }}

),

user_days as (

    select
        user_id,
        activity_date,
        previous_activity_date
    from {{ ref('fct_user_days') }}
    where activity_date <= {{ last_complete_date() }}

),

numbers as (

    {{ natural_numbers() }}

),

calendar as (

    select {{ last_complete_date() }} as last_complete_date

),

-- A user counts once in a period, on their first active day of it; of the days only those of the
-- headline are kept, a week and a month hold few first days.
active_periods as (
    {% for grain in grains %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        '{{ grain }}' as cohort_grain,
        cohort_members.cohort_basis,
        {%- for column in dimensions().values() %}
        cohort_members.{{ column }},
        {%- endfor %}
        cast(date_trunc('{{ grain }}', cohort_members.cohort_date) as date) as cohort_start,
        {{ periods_between(
            grain,
            "cast(date_trunc('" ~ grain ~ "', cohort_members.cohort_date) as date)",
            "cast(date_trunc('" ~ grain ~ "', user_days.activity_date) as date)"
        ) }} as period_number
    from user_days
    inner join cohort_members
        on user_days.user_id = cohort_members.user_id
    {%- if grain == 'day' %}
    where
        {{ periods_between('day', 'cohort_members.cohort_date', 'user_days.activity_date') }}
        in ({{ headline_days | join(', ') }})
    {%- else %}
    where
        coalesce(user_days.previous_activity_date, date '0001-01-01')
        < cast(date_trunc('{{ grain }}', user_days.activity_date) as date)
    {%- endif %}
    {% endfor %}
),

retained as (

    {{ count_by_dimension(
        'active_periods',
        ['cohort_basis', 'cohort_grain', 'cohort_start', 'period_number'],
        'retained_users'
    ) }}

),

-- Few rows: members by cohort date and value.
daily_cohorts as (

    {{ count_by_dimension('cohort_members', ['cohort_basis', 'cohort_date'], 'member_count') }}

),

grained_cohorts as (

    select
        daily_cohorts.dimension_name,
        daily_cohorts.dimension_value,
        daily_cohorts.cohort_basis,
        grains.grain as cohort_grain,
        {{ cohort_start_of('grains.grain', 'daily_cohorts.cohort_date') | indent(8) }}
            as cohort_start,
        daily_cohorts.member_count
    from daily_cohorts
    cross join (
        {{ cohort_grains() | indent(8) }}
    ) as grains (grain)

),

cohorts as (

    select
        dimension_name,
        dimension_value,
        cohort_basis,
        cohort_grain,
        cohort_start,
        cast(sum(member_count) as bigint) as cohort_size
    from grained_cohorts
    group by
        dimension_name,
        dimension_value,
        cohort_basis,
        cohort_grain,
        cohort_start

),

begun_periods as (
    {% for grain in grains %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        cohorts.dimension_name,
        cohorts.dimension_value,
        cohorts.cohort_basis,
        cohorts.cohort_grain,
        cohorts.cohort_start,
        cohorts.cohort_size,
        numbers.number as period_number,
        {{ period_is_mature(grain, 'cohorts.cohort_start', 'numbers.number') }} as is_mature
    from cohorts
    cross join calendar
    inner join numbers
        on {{ period_has_begun(grain, 'cohorts.cohort_start', 'numbers.number') }}
    {%- if grain == 'day' %}
    where cohorts.cohort_grain = 'day'
        and numbers.number in ({{ headline_days | join(', ') }})
    {%- else %}
    where cohorts.cohort_grain = '{{ grain }}'
    {%- endif %}
    {% endfor %}
),

final as (

    select
        begun_periods.dimension_name,
        begun_periods.dimension_value,
        begun_periods.cohort_basis,
        begun_periods.cohort_grain,
        cast(begun_periods.period_number as integer) as period_number,
        begun_periods.cohort_size,
        coalesce(retained.retained_users, 0) as retained_users,
        {{ rate(
            'coalesce(retained.retained_users, 0)', 'begun_periods.cohort_size'
        ) }} as retention_rate,
        begun_periods.is_mature,
        begun_periods.cohort_start
    from begun_periods
    left join retained
        on begun_periods.dimension_name = retained.dimension_name
            and begun_periods.dimension_value = retained.dimension_value
            and begun_periods.cohort_basis = retained.cohort_basis
            and begun_periods.cohort_grain = retained.cohort_grain
            and begun_periods.cohort_start = retained.cohort_start
            and begun_periods.period_number = retained.period_number

)

select * from final
