{#- No two rows share the values of the columns; NULL equals NULL. -#}
{% test unique_combination_of_columns(model, combination_of_columns, quote_columns=false) %}
{%- set names = [] -%}
{%- for name in combination_of_columns -%}
    {%- do names.append(adapter.quote(name) if quote_columns else name) -%}
{%- endfor %}
select {{ names | join(", ") }}, count(*) as row_count
from {{ model }}
group by {{ names | join(", ") }}
having count(*) > 1
{% endtest %}


{#- The expression is not false for any row; on a column it is the part after the column. -#}
{% test expression_is_true(model, expression, column_name=none) %}
select *
from {{ model }}
where not({{ column_name if column_name is not none }} {{ expression }})
{% endtest %}


{#- Every value lies within the bounds; NULL passes. -#}
{% test accepted_range(model, column_name, min_value=none, max_value=none, inclusive=true) %}
{%- if min_value is none and max_value is none -%}
    {{ exceptions.raise_compiler_error("accepted_range needs min_value, max_value or both") }}
{%- endif %}
select *
from {{ model }}
where
    false
    {%- if min_value is not none %}
    or not {{ column_name }} {{ ">=" if inclusive else ">" }} {{ min_value }}
    {%- endif %}
    {%- if max_value is not none %}
    or not {{ column_name }} {{ "<=" if inclusive else "<" }} {{ max_value }}
    {%- endif %}
{% endtest %}


{#- The share of rows with a value lies in [at_least, at_most]. -#}
{% test not_null_proportion(model, column_name, at_least, at_most=1.0, group_by_columns=[]) %}
{%- set keys = group_by_columns | join(", ") %}
with
proportions as (
    select
        {%- if keys %} {{ keys }},{% endif %}
        count({{ column_name }}) / cast(count(*) as double precision) as not_null_proportion
    from {{ model }}
    {%- if keys %}
    group by {{ keys }}
    {%- endif %}
    -- An empty table has no proportion to judge.
    having count(*) > 0
)

select *
from proportions
where not (not_null_proportion between {{ at_least }} and {{ at_most }})
{% endtest %}


{#- Two relations (or each group of them) have the same number of rows. -#}
{% test equal_rowcount(model, compare_model, group_by_columns=[]) %}
{%- set keys = group_by_columns | join(", ") %}
with
compared as (
    select {% if keys %}{{ keys }}, {% endif %}1 as here, 0 as there from {{ model }}
    union all
    select {% if keys %}{{ keys }}, {% endif %}0 as here, 1 as there from {{ compare_model }}
)

select
    {%- if keys %} {{ keys }},{% endif %}
    sum(here) as row_count,
    sum(there) as compare_row_count
from compared
{%- if keys %}
group by {{ keys }}
{%- endif %}
having sum(here) <> sum(there)
{% endtest %}


{#- The newest value of the field (of each group) is no older than the interval. -#}
{% test recency(model, field, datepart, interval, ignore_time_component=false, group_by_columns=[]) %}
{%- set type = "date" if ignore_time_component else dbt.type_timestamp() %}
{%- set moment = dbt_utils.current_moment() %}
{%- set keys = group_by_columns | join(", ") %}
with
newest as (
    select
        {%- if keys %} {{ keys }},{% endif %}
        max(cast({{ field }} as {{ type }})) as most_recent
    from {{ model }}
    {%- if keys %}
    group by {{ keys }}
    {%- endif %}
)

select *
from newest
where most_recent < cast({{ dbt.dateadd(datepart, -1 * interval, moment) }} as {{ type }})
{% endtest %}


{% macro current_moment() -%}
    cast({{ dbt.current_timestamp() }} as {{ dbt.type_timestamp() }})
{%- endmacro %}


{#- Referential integrity over the rows that the two conditions leave. -#}
{% test relationships_where(model, column_name, to, field, from_condition="1=1", to_condition="1=1") %}
with
children as (
    select {{ column_name }} as id
    from {{ model }}
    where {{ column_name }} is not null and {{ from_condition }}
),

parents as (
    select {{ field }} as id
    from {{ to }}
    where {{ field }} is not null and {{ to_condition }}
)

select children.id
from children
left join parents on children.id = parents.id
where parents.id is null
{% endtest %}


{#- The column (in each group) has at least one value. -#}
{% test at_least_one(model, column_name, group_by_columns=[]) %}
{%- set keys = group_by_columns | join(", ") %}
select
    {%- if keys %} {{ keys }},{% endif %}
    count({{ column_name }}) as filler_column
from {{ model }}
{%- if keys %}
group by {{ keys }}
{%- endif %}
having count({{ column_name }}) = 0
{% endtest %}
