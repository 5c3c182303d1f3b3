{#-
    A metric's change against lookback_periods ago lies within sigma_threshold standard deviations of
    the mean of the trend_periods changes before it. The metric is summed per period (and group) and
    logged unless take_logs is false; only the last test_periods closed periods are judged.
-#}
{% test expect_column_values_to_be_within_n_moving_stdevs(
    model,
    column_name,
    date_column_name,
    period="day",
    lookback_periods=1,
    trend_periods=7,
    test_periods=14,
    sigma_threshold=3,
    sigma_threshold_upper=none,
    sigma_threshold_lower=none,
    take_diffs=true,
    take_logs=true,
    group_by=none
) %}
{%- set type = dbt_expectations.type_timestamp() -%}
{%- set upper_bound = sigma_threshold if sigma_threshold_upper is none else sigma_threshold_upper -%}
{%- set lower_bound = -1 * sigma_threshold if sigma_threshold_lower is none else sigma_threshold_lower -%}
{%- set keys = group_by or [] -%}
{%- set partition = "partition by " ~ keys | join(", ") if keys else "" -%}
{%- set start_of_period = dbt.date_trunc(period, dbt_expectations.moment()) %}
with
periods as (
    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        {{ dbt.date_trunc(period, date_column_name) }} as metric_period,
        sum({{ column_name }}) as metric_value
    from {{ model }}
    group by
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        {{ dbt.date_trunc(period, date_column_name) }}
),

scaled as (
    select
        *,
        {%- if take_logs %}
        coalesce(ln(nullif(metric_value, 0)), 0) as scaled_value
        {%- else %}
        metric_value as scaled_value
        {%- endif %}
    from periods
),

changes as (
    select
        *,
        {%- if take_diffs %}
        scaled_value - lag(scaled_value, {{ lookback_periods }}) over (
            {{ partition }} order by metric_period
        ) as test_value
        {%- else %}
        scaled_value as test_value
        {%- endif %}
    from scaled
),

trends as (
    select
        *,
        avg(test_value) over (
            {{ partition }}
            order by metric_period
            rows between {{ trend_periods }} preceding and 1 preceding
        ) as trend_mean,
        stddev(test_value) over (
            {{ partition }}
            order by metric_period
            rows between {{ trend_periods }} preceding and 1 preceding
        ) as trend_deviation
    from changes
),

scores as (
    select
        *,
        (test_value - trend_mean) / nullif(trend_deviation, 0) as z_score
    from trends
    where
        cast(metric_period as {{ type }}) >= cast(
            {{ dbt.dateadd(period, -1 * test_periods, start_of_period) }} as {{ type }}
        )
        and cast(metric_period as {{ type }}) < cast({{ start_of_period }} as {{ type }})
)

select *
from scores
where z_score > {{ upper_bound }} or z_score < {{ lower_bound }}
{% endtest %}
