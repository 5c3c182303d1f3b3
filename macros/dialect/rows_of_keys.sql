{# A select of columns of all rows of a table whose key is among those of a CTE (which may repeat keys),
   and, with `alike`, whose further columns equal the CTE's (NULL equals NULL). `_row_id` is where
   values_of finds the rows again.
   Fails without: DuckDB decodes every column of every row before it joins, at ten million rows ten
   times the work of looking the keys up in the key column alone and then reading only the rows
   found. Trino filters its scan by the join's keys itself and has no row ids. #}
{% macro rows_of_keys(relation, keys, among, columns, alike=[]) -%}
    {{ return(adapter.dispatch('rows_of_keys', 'synapse')(relation, keys, among, columns, alike)) }}
{%- endmacro %}

{% macro default__rows_of_keys(relation, keys, among, columns, alike) -%}
select
    {%- for column in columns %}
    whole.{{ column }},
    {%- endfor %}
    cast(null as bigint) as _row_id
from {{ relation }} as whole
where {{ keys_are_among('whole', keys, among, alike) }}
{%- endmacro %}

{% macro duckdb__rows_of_keys(relation, keys, among, columns, alike) -%}
select
    {%- for column in columns %}
    whole.{{ column }},
    {%- endfor %}
    whole.rowid as _row_id
from {{ relation }} as whole
where whole.rowid in (
    select narrow.rowid
    from {{ relation }} as narrow
    where {{ keys_are_among('narrow', keys, among, alike) | indent(4) }}
)
{%- endmacro %}


{# SQL: the row's key, and the columns of `alike`, are those of a row of a CTE. #}
{% macro keys_are_among(qualifier, keys, among, alike=[]) -%}
exists (
    select 1
    from {{ among }}
    where
        {%- for key in keys %}
        {{ 'and ' if not loop.first }}{{ among }}.{{ key }} = {{ qualifier }}.{{ key }}
        {%- endfor %}
        {%- for column in alike %}
        and {{ among }}.{{ column }} is not distinct from {{ qualifier }}.{{ column }}
        {%- endfor %}
)
{%- endmacro %}


{# A relation that holds the whole rows of those `changes` (from rows_of_keys) which a CTE names by key
   and `identity`, their _change_id.
   Fails without: as rows_of_keys; on Trino the table itself, which the caller joins by key anyway. #}
{% macro values_of(relation, keys, named, identity) -%}
    {{ return(adapter.dispatch('values_of', 'synapse')(relation, keys, named, identity)) }}
{%- endmacro %}

{% macro default__values_of(relation, keys, named, identity) -%}
{{ relation }}
{%- endmacro %}

{% macro duckdb__values_of(relation, keys, named, identity) -%}
(
    select whole.*
    from {{ relation }} as whole
    where whole.rowid in (
        select changes._row_id
        from changes
        inner join {{ named }}
            on changes._change_id = {{ named }}.{{ identity }}
            {%- for key in keys %}
            and changes.{{ key }} = {{ named }}.{{ key }}
            {%- endfor %}
    )
)
{%- endmacro %}
