{# The last select of an incremental fact: of the rows of CTE `computed`, those that are not in the table
   as they are; and of each row of the table that was not computed, its key alone, which says that it
   has no row now. scope: what fact_scope said; where it is 'some', only rows of the table count that
   `touched` names: [{where: SQL condition on `existing`, bounds: where such rows can only lie, as
   is_in_bounds takes it}].
   Fails without: DuckDB finds few rows by their row ids before it decodes the others, and its strategy
   looks replaced rows up by key. Trino reads a CTE again for each time that it is named; and a merge
   that is to read the months of the replaced rows alone must be told them, so that there each replaced
   row says where it lay, and what the change log needs of it. #}
{% macro changed_rows(computed, scope, touched=[]) -%}
    {%- if not fact_is_incremental() -%}
select * from {{ computed }}
    {{ in_order_of_time(computed) }}
    {%- else -%}
    {%- set keys = config.get('unique_key') -%}
    {{ adapter.dispatch('rows_that_changed', 'synapse')(
        computed, scope, touched, [keys] if keys is string else keys
    ) }}
    {%- endif -%}
{%- endmacro %}

{% macro default__rows_that_changed(computed, scope, touched, keys) -%}
    {%- set stored = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
    {%- set columns = model.columns.values() | list -%}
    {#- Of a few rows, only those that they would replace are read whole. #}
    {%- set existing = this if scope == 'all' else '(' ~ rows_of_keys(
        this, keys, computed, columns | map(attribute='name') | select('in', stored) | list
    ) ~ ')' -%}
select
    {%- for column in columns %}
    {{ computed }}.{{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ computed }}
left join {{ existing }} as existing
    on {{ same_keys_condition('existing', computed, keys) }}
where existing.{{ keys[0] }} is null
    or {{ row_differs(computed, columns, stored, keys) }}

union all

select
    {%- for column in columns %}
    {{ 'existing.' ~ column.name if column.name in keys
        else 'cast(null as ' ~ column.data_type ~ ')' }} as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ this }} as existing
left join {{ computed }}
    on {{ same_keys_condition('existing', computed, keys) }}
where {{ computed }}.{{ keys[0] }} is null
    {%- if scope == 'some' %}
    and (
        {%- for named in touched %}
        {{ 'or ' if not loop.first }}({{ named.where }})
        {%- endfor %}
    )
    {%- endif -%}
{%- endmacro %}

{% macro athena__rows_that_changed(computed, scope, touched, keys) -%}
    {%- set stored = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
    {%- set columns = model.columns.values() | list -%}
    {%- set log = config.meta_get('change_log') -%}
    {%- set said = keys + [config.meta_get('dated_by')] -%}
    {%- if log -%}{%- set said = said + log['keys'] + [log.instant] -%}{%- endif -%}
select
    {%- for column in columns %}
    {% if column.name in said -%}
    case when side.is_new then matched.new_{{ column.name }} else matched.old_{{ column.name }} end
    {%- else -%}
    case when side.is_new then matched.new_{{ column.name }} end
    {%- endif %} as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
from (

    select
        {%- for column in columns %}
        {{ computed }}.{{ column.name }} as new_{{ column.name }},
        {%- if column.name in said %}
        existing.{{ column.name }} as old_{{ column.name }},
        {%- endif %}
        {%- endfor %}
        {{ computed }}.{{ keys[0] }} is not null as has_new,
        existing.{{ keys[0] }} is not null as has_old
    from {{ computed }}
    full outer join (
        {%- for named in touched if scope == 'some' %}
        {{ 'union distinct' if not loop.first }}
        select
            {%- for column in columns if column.name in stored %}
            existing.{{ column.name }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ this }} as existing
        where ({{ named.where }})
            and {{ is_in_bounds('existing', named.bounds) }}
        {%- else %}
        select * from {{ this }}
        {%- endfor %}
    ) as existing
        on {{ same_keys_condition('existing', computed, keys) }}
    where existing.{{ keys[0] }} is null
        or {{ computed }}.{{ keys[0] }} is null
        or {{ row_differs(computed, columns, stored, keys) }}

) as matched
cross join (values (true), (false)) as side (is_new)
where (side.is_new and matched.has_new)
    or (not side.is_new and matched.has_old)
{%- endmacro %}


{# SQL condition: a computed row is not as `existing` is. #}
{% macro row_differs(computed, columns, stored, keys) -%}
    {%- set differing = [] -%}
    {%- for column in columns if column.name not in keys -%}
        {%- do differing.append(
            'existing.' ~ column.name ~ ' is distinct from ' ~ computed ~ '.' ~ column.name
            if column.name in stored else 'true'
        ) -%}
    {%- endfor -%}
    {{ differing | join('\n    or ') }}
{%- endmacro %}


{# The end of a select that fills a fact anew.
   Fails without: DuckDB knows the least and greatest value of each block of a table and leaves out those
   that a date cannot be in; a join or a grouping leaves the rows in no order, and every date in every
   block. Athena prunes by months and files (layout.sql), and orders a table on one machine. #}
{% macro in_order_of_time(computed) -%}
    {{ return(adapter.dispatch('in_order_of_time', 'synapse')(computed)) }}
{%- endmacro %}

{% macro default__in_order_of_time(computed) -%}{%- endmacro %}

{% macro duckdb__in_order_of_time(computed) -%}
    {%- set log = config.meta_get('change_log') -%}
    {%- if log and not is_unit_test() -%}
order by {{ computed }}.{{ log['instant'] }}
    {%- endif -%}
{%- endmacro %}
