{% test expect_column_values_to_be_unique(model, column_name, row_condition=none) %}
{{ dbt_expectations.test_expect_compound_columns_to_be_unique(
    model, [column_name], row_condition=row_condition
) }}
{% endtest %}


{#- No two rows share the values of the columns; ignore_row_if says which rows do not count. -#}
{% test expect_compound_columns_to_be_unique(
    model,
    column_list,
    quote_columns=false,
    ignore_row_if="all_values_are_missing",
    row_condition=none
) %}
{%- set joined_by = {"all_values_are_missing": " and ", "any_value_is_missing": " or "} -%}
{%- if ignore_row_if not in joined_by -%}
    {{ exceptions.raise_compiler_error(
        "ignore_row_if must be all_values_are_missing or any_value_is_missing, not "
        ~ ignore_row_if
    ) }}
{%- endif -%}
{%- set names = [] -%}
{%- set missing = [] -%}
{%- for name in column_list -%}
    {%- do names.append(adapter.quote(name) if quote_columns else name) -%}
    {%- do missing.append(names[-1] ~ " is null") -%}
{%- endfor %}
select {{ names | join(", ") }}, count(*) as row_count
from {{ model }}
where
    not ({{ missing | join(joined_by[ignore_row_if]) }})
    {%- if row_condition %}
    and ({{ row_condition }})
    {%- endif %}
group by {{ names | join(", ") }}
having count(*) > 1
{% endtest %}
