{#- A NULL aggregate (no rows, or only NULLs) passes, as every NULL expression does. -#}
{% test expect_column_max_to_be_between(
    model, column_name, min_value=none, max_value=none,
    group_by=none, row_condition=none, strictly=false
) %}
{%- set value = "max(" ~ column_name ~ ")" -%}
{%- set condition = dbt_expectations.within_bounds(value, min_value, max_value, strictly) -%}
{{ dbt_expectations.aggregates_failing(model, condition, group_by, row_condition) }}
{% endtest %}


{% test expect_column_min_to_be_between(
    model, column_name, min_value=none, max_value=none,
    group_by=none, row_condition=none, strictly=false
) %}
{%- set value = "min(" ~ column_name ~ ")" -%}
{%- set condition = dbt_expectations.within_bounds(value, min_value, max_value, strictly) -%}
{{ dbt_expectations.aggregates_failing(model, condition, group_by, row_condition) }}
{% endtest %}


{% test expect_column_mean_to_be_between(
    model, column_name, min_value=none, max_value=none,
    group_by=none, row_condition=none, strictly=false
) %}
{%- set value = "avg(" ~ column_name ~ ")" -%}
{%- set condition = dbt_expectations.within_bounds(value, min_value, max_value, strictly) -%}
{{ dbt_expectations.aggregates_failing(model, condition, group_by, row_condition) }}
{% endtest %}


{% test expect_column_sum_to_be_between(
    model, column_name, min_value=none, max_value=none,
    group_by=none, row_condition=none, strictly=false
) %}
{%- set value = "sum(" ~ column_name ~ ")" -%}
{%- set condition = dbt_expectations.within_bounds(value, min_value, max_value, strictly) -%}
{{ dbt_expectations.aggregates_failing(model, condition, group_by, row_condition) }}
{% endtest %}


{#- Distinct values / values, NULLs aside in both. -#}
{% test expect_column_proportion_of_unique_values_to_be_between(
    model, column_name, min_value=none, max_value=none,
    group_by=none, row_condition=none, strictly=false
) %}
{%- set value -%}
(count(distinct {{ column_name }}) * 1.0 / nullif(count({{ column_name }}), 0))
{%- endset -%}
{%- set condition = dbt_expectations.within_bounds(value, min_value, max_value, strictly) -%}
{{ dbt_expectations.aggregates_failing(model, condition, group_by, row_condition) }}
{% endtest %}


{#- More distinct values than the given number: strictly greater. -#}
{% test expect_column_distinct_count_to_be_greater_than(
    model, column_name, value, group_by=none, row_condition=none
) %}
{%- set condition = "(count(distinct " ~ column_name ~ ") > " ~ value ~ ")" -%}
{{ dbt_expectations.aggregates_failing(model, condition, group_by, row_condition) }}
{% endtest %}


{% test expect_column_distinct_count_to_equal(
    model, column_name, value, group_by=none, row_condition=none
) %}
{%- set condition = "(count(distinct " ~ column_name ~ ") = " ~ value ~ ")" -%}
{{ dbt_expectations.aggregates_failing(model, condition, group_by, row_condition) }}
{% endtest %}
