{#- `where` for a row_condition, or nothing. -#}
{% macro where_clause(row_condition) -%}
    {%- if row_condition %}
where {{ row_condition }}
    {%- endif %}
{%- endmacro %}


{#- The condition that a value lies within the bounds: inclusive, unless `strictly`. -#}
{% macro within_bounds(value, min_value, max_value, strictly) -%}
    {%- if min_value is none and max_value is none -%}
        {{ exceptions.raise_compiler_error("give min_value, max_value or both") }}
    {%- endif -%}
    {%- set equal = "" if strictly else "=" -%}
    {%- set parts = [] -%}
    {%- if min_value is not none -%}
        {%- do parts.append(value ~ " >" ~ equal ~ " " ~ min_value) -%}
    {%- endif -%}
    {%- if max_value is not none -%}
        {%- do parts.append(value ~ " <" ~ equal ~ " " ~ max_value) -%}
    {%- endif -%}
    ({{ parts | join(" and ") }})
{%- endmacro %}


{#- The rows for which an expression is false. NULL is not an error. -#}
{% macro rows_failing(model, expression, row_condition=none) %}
with
checked as (
    select
        *,
        {{ expression }} as _verdict
    from {{ model }}
    {{- dbt_expectations.where_clause(row_condition) }}
)

select *
from checked
where not (_verdict = true)
{% endmacro %}


{#- The groups (or the whole table) for which a condition on an aggregate is false. -#}
{% macro aggregates_failing(model, expression, group_by=none, row_condition=none) %}
{%- set keys = (group_by or []) | join(", ") %}
with
checked as (
    select
        {%- if keys %}
        {{ keys }},
        {%- endif %}
        {{ expression }} as _verdict
    from {{ model }}
    {{- dbt_expectations.where_clause(row_condition) }}
    {%- if keys %}
    group by {{ keys }}
    {%- endif %}
)

select *
from checked
where not (_verdict = true)
{% endmacro %}


{#- A list as a one-column set of SQL values, named value_field. -#}
{% macro value_rows(value_set, quote_values) -%}
    {%- for value in value_set %}
    select {{ "'" ~ value ~ "'" if quote_values else value }} as value_field
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{%- endmacro %}
