{# A select of columns of all rows of a table whose key is among those of a CTE (which may repeat keys),
   and, with `alike`, whose further columns equal the CTE's (NULL equals NULL). bounds: where such rows can
   only lie, as is_in_bounds takes it. pointer: with each row's `_pointer`, which base models have.
   Fails without: DuckDB decodes every column of every row before it joins, at ten million rows ten
   times the work of looking the keys up in the key column alone and then reading only the rows
   found. What `alike` is at least rules out most blocks before a key is read: what lands is newer than
   nearly all there is. Trino filters its scan by the join's keys itself and has no row ids. #}
{% macro rows_of_keys(relation, keys, among, columns, alike=[], bounds=none, pointer=true) -%}
    {{ return(adapter.dispatch('rows_of_keys', 'synapse')(
        relation, keys, among, columns, alike, bounds, pointer
    )) }}
{%- endmacro %}

{% macro default__rows_of_keys(relation, keys, among, columns, alike, bounds, pointer) -%}
{{ columns_of_whole(columns, pointer) }}
from {{ relation }} as whole
where {{ keys_are_among('whole', keys, among, alike) }}
    and {{ is_in_bounds('whole', bounds) }}
{%- endmacro %}

{% macro duckdb__rows_of_keys(relation, keys, among, columns, alike, bounds, pointer) -%}
{{ columns_of_whole(columns, pointer) }}
from {{ relation }} as whole
where whole.rowid in (
    select narrow.rowid
    from {{ relation }} as narrow
    where {{ keys_are_among('narrow', keys, among, alike) | indent(4) }}
        {%- for column in alike %}
        and (
            narrow.{{ column }} >= (select min({{ among }}.{{ column }}) from {{ among }})
            or narrow.{{ column }} is null
        )
        {%- endfor %}
)
{%- endmacro %}


{# The columns of rows_of_keys. #}
{% macro columns_of_whole(columns, pointer) -%}
select
    {%- for column in columns %}
    whole.{{ column }}{{ ',' if pointer or not loop.last }}
    {%- endfor %}
    {%- if pointer %}
    {{ row_pointer('whole') }} as _pointer
    {%- endif %}
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
        and {{ is_same(among ~ '.' ~ column, qualifier ~ '.' ~ column) }}
        {%- endfor %}
)
{%- endmacro %}


{# SQL condition of a join: two expressions are equal, or both NULL.
   Fails without: Trino (476) leaves rows out of a scan by the values that the other side of a join has;
   of IS NOT DISTINCT FROM, where those are all NULL, it leaves out every row. Loads without commit
   times, taken up again by a run after one that was killed, were appended a second time. #}
{% macro is_same(left, right) -%}
    {{ return(adapter.dispatch('is_same', 'synapse')(left, right)) }}
{%- endmacro %}

{% macro default__is_same(left, right) -%}
    {{ left }} is not distinct from {{ right }}
{%- endmacro %}

{% macro athena__is_same(left, right) -%}
    ({{ left }} = {{ right }} or ({{ left }} is null and {{ right }} is null))
{%- endmacro %}


{# SQL: what finds a row of a base model again within one statement. Eight bytes where an engine has
   row ids, and to look one up reads no column.
   Fails without: Trino has none; an identity of 32 digits carried through every sort and joined by was
   a third of a rebuild on DuckDB, and reading it of old rows touches the widest blocks of a merge. #}
{% macro row_pointer(qualifier) -%}
    {{ return(adapter.dispatch('row_pointer', 'synapse')(qualifier)) }}
{%- endmacro %}

{% macro default__row_pointer(qualifier) -%}
    {{ qualifier }}._change_id
{%- endmacro %}

{# A unit test's rows are a CTE, which has no row ids. #}
{% macro duckdb__row_pointer(qualifier) -%}
    {%- if is_unit_test() -%}
        {{ default__row_pointer(qualifier) }}
    {%- else -%}
        {{ qualifier }}.rowid
    {%- endif -%}
{%- endmacro %}


{# A relation that holds at least the rows of a base model that some selects of pointers name (all of
   its rows where there are none), whole and with their `_pointer`; the caller joins on it. No two
   selects may name one row.
   Fails without: as rows_of_keys; on Trino the table itself. DuckDB finds rows by a filter that lets one
   in a hundred others through, over all blocks between the first and the last: rows that lie
   together are better named by a select of their own. #}
{% macro rows_at(relation, pointers=[]) -%}
    {{ return(adapter.dispatch('rows_at', 'synapse')(relation, pointers)) }}
{%- endmacro %}

{% macro default__rows_at(relation, pointers) -%}
(
    select
        whole.*,
        {{ row_pointer('whole') }} as _pointer
    from {{ relation }} as whole
)
{%- endmacro %}

{% macro duckdb__rows_at(relation, pointers) -%}
{%- if pointers | length == 0 -%}{{ default__rows_at(relation, pointers) }}{%- else -%}
(
    {%- for selected in pointers %}
    {{ 'union all' if not loop.first }}
    select
        whole.*,
        {{ row_pointer('whole') }} as _pointer
    from {{ relation }} as whole
    where whole.rowid in (
        {{ selected | indent(8) }}
    )
    {%- endfor %}
)
{%- endif -%}
{%- endmacro %}
