{# A select of all rows of a table whose key is among those of a CTE (which may repeat keys).
   Fails without: DuckDB decodes every column of every row before it joins, at ten million rows ten
   times the work of looking the keys up in the key column alone and then reading only the rows
   found. Trino filters its scan by the join's keys itself and has no row ids. #}
{% macro rows_of_keys(relation, keys, among) -%}
    {{ return(adapter.dispatch('rows_of_keys', 'synapse')(relation, keys, among)) }}
{%- endmacro %}

{% macro default__rows_of_keys(relation, keys, among) -%}
select whole.*
from {{ relation }} as whole
where exists (
    select 1
    from {{ among }}
    where
        {%- for key in keys %}
        {{ 'and ' if not loop.first }}{{ among }}.{{ key }} = whole.{{ key }}
        {%- endfor %}
)
{%- endmacro %}

{% macro duckdb__rows_of_keys(relation, keys, among) -%}
select whole.*
from {{ relation }} as whole
where whole.rowid in (
    select narrow.rowid
    from {{ relation }} as narrow
    where exists (
        select 1
        from {{ among }}
        where
            {%- for key in keys %}
            {{ 'and ' if not loop.first }}{{ among }}.{{ key }} = narrow.{{ key }}
            {%- endfor %}
    )
)
{%- endmacro %}
