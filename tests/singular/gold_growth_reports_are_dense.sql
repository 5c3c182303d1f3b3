{# Growth reports have every date, week and month from their first to the current one, for every
   value: no gap, nothing twice.
   Fails when: a date, period, segment, region or plan without activity drops out.
   Who fixes it: growth. #}
with daily_dates as (

    select count(*) as date_count
    from {{ ref('rpt_active_users_daily') }}

),

calendar_dates as (

    select count(*) as date_count
    from {{ ref('dim_dates') }}

),

calendar_months as (

    select count(distinct month_start_date) as month_count
    from {{ ref('dim_dates') }}

),

spans as (
    {% for model, part in [
        ('rpt_user_segments', 'segment'),
        ('rpt_regional_adoption', 'region'),
        ('rpt_active_users_by_dimension', "concat(dimension_name, ' ', dimension_value)"),
        ('rpt_user_growth', "'all'"),
    ] %}
    select
        '{{ model }}' as model_name,
        {{ part }} as part,
        count(*) as row_count,
        max(daily_dates.date_count) as expected_count
    from {{ ref(model) }}
    cross join daily_dates
    group by {{ part }}

    union all
    {% endfor %}
    {% for grain in ['day', 'week', 'month'] %}
    select
        'rpt_lifecycle' as model_name,
        '{{ grain }}' as part,
        count(*) as row_count,
        {{ periods_between(grain, 'min(period_start)', 'max(period_start)') }}
        + 1 as expected_count
    from {{ ref('rpt_lifecycle') }}
    where period_grain = '{{ grain }}'
    having count(*) > 0

    union all
    {% endfor %}
    {% for model, part in [
        ('rpt_churn_monthly', "'all'"),
        ('rpt_mrr_monthly', "concat(currency, ' ', plan_code)"),
    ] %}
    select
        '{{ model }}' as model_name,
        {{ part }} as part,
        count(*) as row_count,
        max(calendar_months.month_count) as expected_count
    from {{ ref(model) }}
    cross join calendar_months
    group by {{ part }}

    union all
    {% endfor %}
    select
        'rpt_conversion_funnel_by_dimension' as model_name,
        concat(
            funnel.funnel_name, ' ', cast(funnel.step_number as varchar), ' ',
            funnel.dimension_name, ' ', funnel.dimension_value
        ) as part,
        count(*) as row_count,
        max(calendar_dates.date_count) as expected_count
    from {{ ref('rpt_conversion_funnel_by_dimension') }} as funnel
    cross join calendar_dates
    group by
        funnel.funnel_name,
        funnel.step_number,
        funnel.dimension_name,
        funnel.dimension_value

)

select
    model_name,
    part,
    row_count,
    expected_count
from spans
where row_count <> expected_count
