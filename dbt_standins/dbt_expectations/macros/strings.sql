{% test expect_column_value_lengths_to_equal(model, column_name, value, row_condition=none) %}
{{ dbt_expectations.rows_failing(
    model, "(" ~ dbt.length(column_name) ~ " = " ~ value ~ ")", row_condition
) }}
{% endtest %}


{% test expect_column_value_lengths_to_be_between(
    model, column_name, min_value=none, max_value=none, row_condition=none, strictly=false
) %}
{{ dbt_expectations.rows_failing(
    model,
    dbt_expectations.within_bounds(dbt.length(column_name), min_value, max_value, strictly),
    row_condition
) }}
{% endtest %}


{#- The pattern matches somewhere in the value. -#}
{% test expect_column_values_to_match_regex(
    model, column_name, regex, row_condition=none, is_raw=false, flags=""
) %}
{%- set found = dbt_expectations.regexp_instr(column_name, regex, is_raw=is_raw, flags=flags) -%}
{{ dbt_expectations.rows_failing(model, "(" ~ found ~ " > 0)", row_condition) }}
{% endtest %}


{#- The pattern matches nowhere in the value. -#}
{% test expect_column_values_to_not_match_regex(
    model, column_name, regex, row_condition=none, is_raw=false, flags=""
) %}
{%- set found = dbt_expectations.regexp_instr(column_name, regex, is_raw=is_raw, flags=flags) -%}
{{ dbt_expectations.rows_failing(model, "(" ~ found ~ " = 0)", row_condition) }}
{% endtest %}
