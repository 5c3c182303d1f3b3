{#- Names (or types) of a relation's columns as the adapter reports them, transformed. -#}
{% macro column_names(model, transform="upper") -%}
    {%- set names = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(model) -%}
            {%- do names.append(dbt_expectations.transformed(column.name, transform)) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}


{% macro transformed(name, transform) -%}
    {{ return(name | upper if transform == "upper" else name | lower if transform == "lower" else name) }}
{%- endmacro %}


{#- A query with one row per text, so with none when all is well. -#}
{% macro error_rows(texts) %}
    {%- if texts %}
        {%- for text in texts %}
select '{{ text }}' as failure
            {%- if not loop.last %} union all {% endif %}
        {%- endfor %}
    {%- else %}
select 'none' as failure
where 1 = 0
    {%- endif %}
{% endmacro %}


{% test expect_column_to_exist(model, column_name, column_index=none, transform="upper") %}
{%- set names = dbt_expectations.column_names(model, transform) -%}
{%- set name = dbt_expectations.transformed(column_name, transform) -%}
{%- set errors = [] -%}
{%- if name not in names -%}
    {%- do errors.append("no column " ~ name) -%}
{%- elif column_index is not none and names.index(name) + 1 != column_index -%}
    {%- do errors.append(name ~ " is not column number " ~ column_index) -%}
{%- endif -%}
{{ dbt_expectations.error_rows(errors) }}
{% endtest %}


{% test expect_table_columns_to_contain_set(model, column_list, transform="upper") %}
{%- set names = dbt_expectations.column_names(model, transform) -%}
{%- set errors = [] -%}
{%- for wanted in column_list if dbt_expectations.transformed(wanted, transform) not in names -%}
    {%- do errors.append("no column " ~ dbt_expectations.transformed(wanted, transform)) -%}
{%- endfor -%}
{{ dbt_expectations.error_rows(errors) }}
{% endtest %}


{% test expect_column_values_to_be_of_type(model, column_name, column_type) %}
{{ dbt_expectations.test_expect_column_values_to_be_in_type_list(model, column_name, [column_type]) }}
{% endtest %}


{#- Types are the adapter's own words for them; a column that is missing passes. -#}
{% test expect_column_values_to_be_in_type_list(model, column_name, column_type_list) %}
{%- set types = column_type_list | map("upper") | list -%}
{%- set errors = [] -%}
{%- if execute -%}
    {%- for column in adapter.get_columns_in_relation(model) -%}
        {%- if column.name | upper == column_name | upper and column.dtype | upper not in types -%}
            {%- do errors.append(column.name ~ " is " ~ column.dtype | upper) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endif -%}
{{ dbt_expectations.error_rows(errors) }}
{% endtest %}
