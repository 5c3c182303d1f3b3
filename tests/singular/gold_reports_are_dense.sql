{# Reports have every date, every cohort × begun period and every step: no gap, nothing twice.
   Fails when: a date or cohort without activity drops out instead of reporting zero.
   Who fixes it: growth. #}
with spans as (

    select
        'dim_dates' as model_name,
        'all' as part,
        count(*) as row_count,
        {{ periods_between('day', 'min(date_day)', 'max(date_day)') }} + 1 as expected_count
    from {{ ref('dim_dates') }}
    having count(*) > 0

    union all

    select
        'rpt_active_users_daily' as model_name,
        'all' as part,
        count(*) as row_count,
        {{ periods_between('day', 'min(activity_date)', 'max(activity_date)') }}
        + 1 as expected_count
    from {{ ref('rpt_active_users_daily') }}
    having count(*) > 0

    union all

    select
        'rpt_conversion_funnel' as model_name,
        concat(funnel_name, ' ', cast(step_number as varchar)) as part,
        count(*) as row_count,
        (select count(*) from {{ ref('dim_dates') }}) as expected_count
    from {{ ref('rpt_conversion_funnel') }}
    group by
        funnel_name,
        step_number

    union all

    select
        'rpt_retention' as model_name,
        concat(
            cohort_basis, ' ', cohort_grain, ' ', retention_mode, ' ',
            cast(cohort_start as varchar)
        ) as part,
        count(*) as row_count,
        max(period_number) + 1 as expected_count
    from {{ ref('rpt_retention') }}
    where retention_mode <> 'bracket'
    group by
        cohort_basis,
        cohort_grain,
        retention_mode,
        cohort_start

    union all

    select
        'rpt_retention' as model_name,
        concat(cohort_basis, ' ', cohort_grain, ' ', retention_mode, ' last period') as part,
        count(*) as row_count,
        sum(
            case
                when {{ periods_between(
                    'day', 'cohort_start', last_complete_date()
                ) }} = last_period_number then 1
                else 0
            end
        ) as expected_count
    from (
        select
            cohort_basis,
            cohort_grain,
            retention_mode,
            cohort_start,
            max(period_number) as last_period_number
        from {{ ref('rpt_retention') }}
        where cohort_grain = 'day'
            and retention_mode <> 'bracket'
        group by
            cohort_basis,
            cohort_grain,
            retention_mode,
            cohort_start
    ) as cohorts
    group by
        cohort_basis,
        cohort_grain,
        retention_mode

)

select
    model_name,
    part,
    row_count,
    expected_count
from spans
where row_count <> expected_count
