{#-
    An SQL expression, compared by test_condition, holds for every row, or with group_by_columns for
    every group (the expression is then an aggregate).
-#}
{% test expression_is_true(
    model,
    expression,
    test_condition="= true",
    group_by_columns=none,
    row_condition=none
) %}
{%- set condition = "((" ~ expression ~ ") " ~ test_condition ~ ")" -%}
{%- if group_by_columns -%}
    {{ dbt_expectations.aggregates_failing(model, condition, group_by_columns, row_condition) }}
{%- else -%}
    {{ dbt_expectations.rows_failing(model, condition, row_condition) }}
{%- endif -%}
{% endtest %}


{% test expect_column_values_to_be_between(
    model, column_name, min_value=none, max_value=none, row_condition=none, strictly=false
) %}
{{ dbt_expectations.rows_failing(
    model,
    dbt_expectations.within_bounds(column_name, min_value, max_value, strictly),
    row_condition
) }}
{% endtest %}


{% test expect_column_values_to_not_be_null(model, column_name, row_condition=none) %}
{{ dbt_expectations.rows_failing(model, "(" ~ column_name ~ " is not null)", row_condition) }}
{% endtest %}


{% test expect_column_values_to_be_null(model, column_name, row_condition=none) %}
{{ dbt_expectations.rows_failing(model, "(" ~ column_name ~ " is null)", row_condition) }}
{% endtest %}


{% test expect_column_pair_values_A_to_be_greater_than_B(
    model, column_A, column_B, or_equal=false, row_condition=none
) %}
{%- set operator = ">=" if or_equal else ">" -%}
{{ dbt_expectations.rows_failing(
    model, "(" ~ column_A ~ " " ~ operator ~ " " ~ column_B ~ ")", row_condition
) }}
{% endtest %}


{% test expect_column_pair_values_to_be_equal(model, column_A, column_B, row_condition=none) %}
{{ dbt_expectations.rows_failing(model, "(" ~ column_A ~ " = " ~ column_B ~ ")", row_condition) }}
{% endtest %}
