{# A select of columns of all rows of a table whose key is among those of a CTE (which may repeat keys),
   and, with `alike`, whose column of that name equals the CTE's (NULL equals NULL). bounds: where such rows
   can only lie, as is_in_bounds takes it. pointer: with each row's `_pointer`, which base models have.
   Fails without: DuckDB decodes every column of every row before it joins, at ten million rows ten
   times the work of looking the keys up in the key column alone and then reading only the rows found.
   Trino filters its scan by the join's keys itself and has no row ids. #}
{% macro rows_of_keys(relation, keys, among, columns, alike=none, bounds=none, pointer=true) -%}
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

{# What a scan is filtered by, DuckDB makes of the other side of its join. Of up to as many row ids as
   the profile's dynamic_or_filter_threshold it names each, so that of rows that lie anywhere only
   their blocks are read; of more, the least and a sieve that looks at every row after it. The rows of
   a delta are a few old ones and many that lie together, so the first ones are looked up by themselves.
   What `alike` is at least rules out most blocks before a key is read, since what lands is newer than
   nearly all there is; said as one condition with `or` it rules out none. #}
{% macro duckdb__rows_of_keys(relation, keys, among, columns, alike, bounds, pointer) -%}
with rows_found as materialized (

    select narrow.rowid as row_id
    from {{ relation }} as narrow
    where {{ keys_are_among('narrow', keys, among, alike) | indent(4) }}
    {%- if alike is not none %}
        and narrow.{{ alike }} >= (select min({{ among }}.{{ alike }}) from {{ among }})
    union all
    select narrow.rowid as row_id
    from {{ relation }} as narrow
    where {{ keys_are_among('narrow', keys, among, alike) | indent(4) }}
        and narrow.{{ alike }} is null
    {%- endif %}

),

-- The last of those that are looked up by themselves.
early_edge as materialized (

    select max(early.row_id) as row_id
    from (select rows_found.row_id from rows_found order by rows_found.row_id limit 1500) as early

)

{% for side in ['<=', '>'] -%}
{{ 'union all' if not loop.first }}
{{ columns_of_whole(columns, pointer) }}
from {{ relation }} as whole
where whole.rowid in (
    select rows_found.row_id
    from rows_found
    where rows_found.row_id {{ side }} (select early_edge.row_id from early_edge)
)
{% endfor %}
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


{# SQL: the row's key, and the column `alike`, are those of a row of a CTE. #}
{% macro keys_are_among(qualifier, keys, among, alike=none) -%}
exists (
    select 1
    from {{ among }}
    where
        {%- for key in keys %}
        {{ 'and ' if not loop.first }}{{ among }}.{{ key }} = {{ qualifier }}.{{ key }}
        {%- endfor %}
        {%- if alike is not none %}
        and {{ is_same(among ~ '.' ~ alike, qualifier ~ '.' ~ alike) }}
        {%- endif %}
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


{# A relation that holds at least the rows of a base model that some selects of pointers name, whole and
   with their `_pointer`; the caller joins on it. No two selects may name one row.
   Fails without: as rows_of_keys; on Trino the table itself. Each select is one of rows that lie
   together, and says between which: of few, DuckDB asks of each block whether it holds one of them. #}
{% macro rows_at(relation, pointers) -%}
    {{ return(adapter.dispatch('rows_at', 'synapse')(relation, pointers)) }}
{%- endmacro %}

{% macro default__rows_at(relation, pointers) -%}
    {{ every_row_of(relation) }}
{%- endmacro %}

{% macro duckdb__rows_at(relation, pointers) -%}
(
    {%- for selected in pointers %}
    {{ 'union all' if not loop.first }}
    select
        whole.*,
        {{ row_pointer('whole') }} as _pointer
    from {{ relation }} as whole
    where whole.rowid in ({{ selected }})
        and whole.rowid >= (select min(named._pointer) from ({{ selected }}) as named)
        and whole.rowid <= (select max(named._pointer) from ({{ selected }}) as named)
    {%- endfor %}
)
{%- endmacro %}


{# The same of all rows of a base model. for_most: the caller joins most of them. #}
{% macro every_row_of(relation, for_most=false) -%}
(
    select
        whole.*,
        {{ unsieved(row_pointer('whole')) if for_most else row_pointer('whole') }} as _pointer
    from {{ relation }} as whole
)
{%- endmacro %}


{# SQL: a pointer by which a join does not sieve the scan that it comes from.
   Fails without: DuckDB sieves what it scans by the other side of its join, row by row, which costs more
   than it saves where most rows pass; of an expression it does not. #}
{% macro unsieved(pointer) -%}
    {{ return(adapter.dispatch('unsieved', 'synapse')(pointer)) }}
{%- endmacro %}

{% macro default__unsieved(pointer) -%}
    {{ pointer }}
{%- endmacro %}

{# A unit test's pointers are texts. #}
{% macro duckdb__unsieved(pointer) -%}
    {{ pointer }}{{ ' + 0' if not is_unit_test() }}
{%- endmacro %}
