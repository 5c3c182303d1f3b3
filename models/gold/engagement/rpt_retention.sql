{# Grain: one row per cohort basis, grain and start, retention mode, and begun period or bracket.
   Keys: cohort_basis, cohort_grain, cohort_start, retention_mode, period_number, bracket_start.
   Incremental: none; rebuilt whole from cells of cohort date and activity date.
   Rules: R5 (cohorts), R6 (modes, maturity), R1 (weeks start on Monday). #}
{%- set grains = cohort_grain_names() -%}
{%- set counted_users = {
    'day': 'active_users', 'week': 'first_of_week_users', 'month': 'first_of_month_users'
} -%}

with user_cohorts as (

    select
        signup_date,
        first_active_date,
        last_active_date
    from {{ ref('int_user_cohorts') }}

),

cohort_activity as (

    select
        cohort_basis,
        active_users,
        first_of_week_users,
        first_of_month_users,
        first_of_bracket_users,
        cohort_date,
        activity_date
    from {{ ref('int_cohort_activity') }}

),

numbers as (

    {{ natural_numbers() }}

),

calendar as (

    select {{ last_complete_date() }} as last_complete_date

),

-- Cohorts and periods are those that had begun by the last complete date.
members as (

    select
        'signup' as cohort_basis,
        signup_date as cohort_date,
        last_active_date
    from user_cohorts
    where signup_date <= {{ last_complete_date() }}

    union all

    select
        'first_activity' as cohort_basis,
        first_active_date as cohort_date,
        last_active_date
    from user_cohorts
    where first_active_date <= {{ last_complete_date() }}

),

-- Few rows: users by cohort date and last active date, whatever the grain.
grouped_members as (

    select
        cohort_basis,
        cohort_date,
        last_active_date,
        count(*) as user_count
    from members
    group by
        cohort_basis,
        cohort_date,
        last_active_date

),

grained_members as (

    select
        grouped_members.cohort_basis,
        grains.grain as cohort_grain,
        {{ cohort_start_of('grains.grain', 'grouped_members.cohort_date') | indent(8) }}
            as cohort_start,
        case grains.grain
            {%- for grain in grains %}
            when '{{ grain }}' then {{ periods_between(
                grain,
                "cast(date_trunc('" ~ grain ~ "', grouped_members.cohort_date) as date)",
                "cast(date_trunc('" ~ grain ~ "', grouped_members.last_active_date) as date)"
            ) }}
            {%- endfor %}
        end as last_period_number,
        grouped_members.user_count
    from grouped_members
    cross join (
        {{ cohort_grains() | indent(8) }}
    ) as grains (grain)

),

-- A number names a cohort: whole numbers join and sort in a fraction of the time of basis, grain
-- and date.
cohorts as (

    select
        cohort_basis,
        cohort_grain,
        row_number() over (order by cohort_basis, cohort_grain, cohort_start) as cohort_number,
        cast(sum(user_count) as bigint) as cohort_size,
        cohort_start
    from grained_members
    group by
        cohort_basis,
        cohort_grain,
        cohort_start

),

last_periods as (

    select
        cohorts.cohort_number,
        grained_members.last_period_number as period_number,
        sum(grained_members.user_count) as user_count
    from grained_members
    inner join cohorts
        on grained_members.cohort_basis = cohorts.cohort_basis
            and grained_members.cohort_grain = cohorts.cohort_grain
            and grained_members.cohort_start = cohorts.cohort_start
    where grained_members.last_period_number >= 0
    group by
        cohorts.cohort_number,
        grained_members.last_period_number

),

-- Days are the cells themselves.
active_periods as (
    {% for grain in grains %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        cohorts.cohort_number,
        {{ periods_between(
            grain,
            'cohorts.cohort_start',
            "cast(date_trunc('" ~ grain ~ "', cohort_activity.activity_date) as date)"
        ) }} as period_number,
        {%- if grain == 'day' %}
        cohort_activity.{{ counted_users[grain] }} as user_count
        {%- else %}
        sum(cohort_activity.{{ counted_users[grain] }}) as user_count
        {%- endif %}
    from cohort_activity
    inner join cohorts
        on cohort_activity.cohort_basis = cohorts.cohort_basis
            and cast(date_trunc('{{ grain }}', cohort_activity.cohort_date) as date)
            = cohorts.cohort_start
    where cohorts.cohort_grain = '{{ grain }}'
    {%- if grain != 'day' %}
    group by
        cohorts.cohort_number,
        {{ periods_between(
            grain,
            'cohorts.cohort_start',
            "cast(date_trunc('" ~ grain ~ "', cohort_activity.activity_date) as date)"
        ) }}
    {%- endif %}
    {% endfor %}
),

active_brackets as (

    select
        cohort_basis,
        cohort_date as cohort_start,
        {{ retention_bracket_start(
            periods_between('day', 'cohort_date', 'activity_date')
        ) }} as bracket_start,
        sum(first_of_bracket_users) as user_count
    from cohort_activity
    group by
        cohort_basis,
        cohort_date,
        {{ retention_bracket_start(periods_between('day', 'cohort_date', 'activity_date')) }}

),

brackets as (

    select
        bracket.bracket_start,
        bracket.bracket_end
    from (
        values
        {%- for first_day, last_day in retention_brackets() %}
        ({{ first_day }}, {{ last_day }}){{ ',' if not loop.last }}
        {%- endfor %}
    ) as bracket (bracket_start, bracket_end)

),

longest as (

    select
        {{ periods_between(
            'day', 'min(cohorts.cohort_start)', 'max(calendar.last_complete_date)'
        ) }} as day_count
    from cohorts
    cross join calendar

),

-- No period is further away than the days since the first cohort: of all numbers few are compared
-- with each cohort.
period_numbers as (

    select numbers.number
    from numbers
    inner join longest
        on numbers.number <= longest.day_count

),

begun_periods as (
    {% for grain in grains %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        cohorts.cohort_number,
        period_numbers.number as period_number,
        {{ period_is_mature(grain, 'cohorts.cohort_start', 'period_numbers.number') }} as is_mature
    from cohorts
    cross join calendar
    inner join period_numbers
        on {{ period_has_begun(grain, 'cohorts.cohort_start', 'period_numbers.number') }}
    where cohorts.cohort_grain = '{{ grain }}'
    {% endfor %}
),

periods as (

    select
        begun_periods.cohort_number,
        begun_periods.period_number,
        coalesce(active_periods.user_count, 0) as on_users,
        sum(coalesce(last_periods.user_count, 0)) over (
            partition by begun_periods.cohort_number
            order by begun_periods.period_number desc
            rows between unbounded preceding and current row
        ) as on_or_after_users,
        begun_periods.is_mature
    from begun_periods
    left join active_periods
        on begun_periods.cohort_number = active_periods.cohort_number
            and begun_periods.period_number = active_periods.period_number
    left join last_periods
        on begun_periods.cohort_number = last_periods.cohort_number
            and begun_periods.period_number = last_periods.period_number

),

retained as (

    select
        cohorts.cohort_basis,
        cohorts.cohort_grain,
        modes.retention_mode,
        cast(periods.period_number as integer) as period_number,
        cast(null as integer) as bracket_start,
        cast(null as integer) as bracket_end,
        cohorts.cohort_size,
        case modes.retention_mode
            when 'on' then periods.on_users
            else periods.on_or_after_users
        end as retained_users,
        periods.is_mature,
        cohorts.cohort_start
    from periods
    inner join cohorts
        on periods.cohort_number = cohorts.cohort_number
    cross join (
        values ('on'), ('on_or_after')
    ) as modes (retention_mode)

    union all

    select
        cohorts.cohort_basis,
        cohorts.cohort_grain,
        'bracket' as retention_mode,
        cast(null as integer) as period_number,
        cast(brackets.bracket_start as integer) as bracket_start,
        cast(brackets.bracket_end as integer) as bracket_end,
        cohorts.cohort_size,
        coalesce(active_brackets.user_count, 0) as retained_users,
        {{ date_add_days('cohorts.cohort_start', 'brackets.bracket_end') }}
        <= calendar.last_complete_date as is_mature,
        cohorts.cohort_start
    from cohorts
    cross join calendar
    inner join brackets
        on {{ date_add_days('cohorts.cohort_start', 'brackets.bracket_start') }}
            <= calendar.last_complete_date
    left join active_brackets
        on cohorts.cohort_basis = active_brackets.cohort_basis
            and cohorts.cohort_start = active_brackets.cohort_start
            and brackets.bracket_start = active_brackets.bracket_start
    where cohorts.cohort_grain = 'day'

),

final as (

    select
        cohort_basis,
        cohort_grain,
        retention_mode,
        period_number,
        bracket_start,
        bracket_end,
        cohort_size,
        cast(retained_users as bigint) as retained_users,
        {{ rate('cast(retained_users as bigint)', 'cohort_size') }} as retention_rate,
        is_mature,
        cohort_start
    from retained

)

select * from final
