{# hist_dms__<table>: exact SCD2. Every update opens a version; changes of one key at one instant
   collapse to the last; a delete closes; an unchanged row of a reload opens none; an instant that
   runs backwards against the order counts as the running maximum. Intervals are [from, to). #}
{% macro cdc_history(table_name, source_name='dms_synapse') -%}
    {%- set base_name = 'base_dms__' ~ table_name -%}
    {%- set base = ref(base_name) -%}
    {%- if not execute -%}
        {{- cdc_fold_config(table_name, source_name, void_column='_version') -}}
        {%- do return('select 1 as placeholder') -%}
    {%- endif -%}
    {%- set table = cdc_table(table_name, source_name) -%}
    {%- set scope = pending_scope(base_name, model.name) -%}
    {%- if scope == 'none' -%}
        {%- do return('select * from ' ~ this ~ ' where false') -%}
    {%- endif -%}

with {{ cdc_ranked(table, base, base_name, model.name, scope) }},

compared as (

    select
        kept.*,
        lag(kept._op) over key_order as _op_before,
        lag(kept._row_hash) over key_order as _row_hash_before
    from ranked as kept
    -- The next instant is the greater of this one and the next change's: only where it is greater
    -- is this change the last of its instant.
    where kept._is_last
        or kept._next_happened_at > kept._effective_at
    window key_order as (
        partition by {{ cdc_keys(table, 'kept') }}
        order by kept._rank
    )

),

bounded as (

    select
        {{ cdc_keys(table, 'changed') }},
        changed._change_id,
        changed._op,
        changed._effective_at,
        lead(changed._effective_at) over key_order as _valid_to,
        sum(case when changed._op <> 'D' then 1 else 0 end) over (
            key_order rows between unbounded preceding and current row
        ) as _version
    from compared as changed
    where not (
        changed._stage = 1
        and coalesce(changed._op_before, 'D') <> 'D'
        and changed._row_hash = changed._row_hash_before
    )
    window key_order as (
        partition by {{ cdc_keys(table, 'changed') }}
        order by changed._rank
    )

),

versions as (

    select
        {{ cdc_keys(table, 'bounded') }},
        bounded._change_id,
        cast(bounded._version as bigint) as _version,
        bounded._effective_at as _valid_from,
        bounded._valid_to
    from bounded
    where bounded._op <> 'D'

)
{%- if is_incremental() %},

-- A key whose versions all collapsed away must lose its rows as well: it is named without a version.
keys as (

    select distinct {{ cdc_keys(table, 'chosen') }}
    from chosen

)
{%- endif %}

select
    {%- for column in table.columns %}
    {{ ('keys' if is_incremental() else 'versions') if column.name in table.key else 'valued' }}
        {{- '.' ~ column.name }},
    {%- endfor %}
    versions._version,
    versions._valid_to is null as _is_current,
    versions._valid_from,
    versions._valid_to,
    versions._change_id,
    valued._source_file,
    valued._ingested_at
{%- if is_incremental() %}
from keys
left join versions
    on {{ cdc_key_match(table, 'keys', 'versions') }}
{%- else %}
from versions
{%- endif %}
left join {{ cdc_valued(table, base, scope) }} as valued
    on {{ cdc_key_match(table, 'versions', 'valued') }}
    and versions._change_id = valued._change_id
{%- if scope == 'all' %}
union all
select
    {%- for column in table.columns %}
    lone_changes.{{ column.name }},
    {%- endfor %}
    {{ "case when lone_changes._op <> 'D' then cast(1 as bigint) end" if is_incremental()
        else 'cast(1 as bigint)' }} as _version,
    true as _is_current,
    lone_changes._happened_at as _valid_from,
    cast(null as timestamp) as _valid_to,
    lone_changes._change_id,
    lone_changes._source_file,
    lone_changes._ingested_at
from (

    {{ cdc_lone(table, base) | indent }}

) as lone_changes
{%- if not is_incremental() %}
where lone_changes._op <> 'D'
{%- endif %}
{%- endif %}
{%- endmacro %}


{# A relation of whole changes for the versions. Of few keys nearly every change is a version: found by
   key, as their order was, which lets DuckDB read only the blocks that hold them. #}
{% macro cdc_valued(table, base, scope) -%}
    {%- if scope == 'all' -%}
{{ base }}
    {%- else -%}
    {%- set names = cdc_column_names(table) + ['_change_id', '_source_file', '_ingested_at'] -%}
(

    {{ rows_of_keys(base, table.key, 'chosen', names) | indent }}

)
    {%- endif -%}
{%- endmacro %}
