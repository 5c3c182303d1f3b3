{# Every feature and every language model has every date, and no hour is missing or there twice.
   Fails when: a feature, model or hour without anything drops out instead of reporting zero.
   Who fixes it: operations. #}
with spans as (

    select
        'rpt_feature_usage_daily' as model_name,
        feature as part,
        count(*) as row_count,
        (select count(*) from {{ ref('dim_dates') }}) as expected_count
    from {{ ref('rpt_feature_usage_daily') }}
    group by feature

    union all

    select
        'rpt_llm_usage_daily' as model_name,
        model as part,
        count(*) as row_count,
        (select count(*) from {{ ref('dim_dates') }}) as expected_count
    from {{ ref('rpt_llm_usage_daily') }}
    group by model

    union all

    select
        'rpt_error_rate_hourly' as model_name,
        'all' as part,
        count(*) as row_count,
        {{ whole_quotient(seconds_between('min(hour_at)', 'max(hour_at)'), 3600) }}
        + 1 as expected_count
    from {{ ref('rpt_error_rate_hourly') }}
    having count(*) > 0

)

select
    model_name,
    part,
    row_count,
    expected_count
from spans
where row_count <> expected_count
