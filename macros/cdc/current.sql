{# stg_dms__<table>: the current state, one row per key ever seen. Recomputes the keys of newly landed
   changes from all of their changes, so neither order nor repetition of files matters. What that reads
   of the past is told in events.sql. #}
{% macro cdc_current(table_name, source_name='dms_synapse', dated_by='created_at') -%}
    {%- set base_name = 'base_dms__' ~ table_name -%}
    {%- set base = ref(base_name) -%}
    {%- if not execute -%}
        {{- cdc_fold_config(
            table_name, source_name, replace_keys_strategy(), dated_by,
            {'distinct_texts': ['_change_seq']}
        ) -}}
        {%- do return('select 1 as placeholder') -%}
    {%- endif -%}
    {%- set table = cdc_table(table_name, source_name) -%}
    {%- set scope = pending_scope(base_name, model.name) -%}
    {%- if scope == 'none' -%}
        {%- do return('select * from ' ~ this ~ ' where false') -%}
    {%- endif -%}
    {{ return(adapter.dispatch('cdc_states', 'synapse')(table, base, base_name, model.name, scope)) }}
{%- endmacro %}


{# The select of the states of the keys in scope. #}
{% macro default__cdc_states(table, base, base_name, model_name, scope) -%}
with {{ cdc_ranked(table, base, base_name, model_name, scope) }},

states as (

    select
        {{ cdc_keys(table, 'ranked') }},
        -- A deleted key keeps the values that it last lived with: a delete may carry nothing but
        -- the key.
        coalesce(
            ranked._living_pointer,
            case when not ranked._is_departure then ranked._pointer end
        ) as _values_pointer,
        ranked._pointer,
        ranked._op,
        ranked._epoch,
        ranked._stage,
        ranked._happened_at
    from ranked
    where ranked._is_last
    {%- if scope == 'all' %}
    union all
    select
        {{ cdc_keys(table, 'ordered_plainly') }},
        coalesce(ordered_plainly._living_pointer, ordered_plainly._pointer) as _values_pointer,
        ordered_plainly._pointer,
        ordered_plainly._op,
        ordered_plainly._epoch,
        ordered_plainly._stage,
        ordered_plainly._happened_at
    from {{ cdc_plainly_ordered(table) | indent(4) }} as ordered_plainly
    where ordered_plainly._is_last
    {%- endif %}

),
{%- if scope == 'some' %}

older_values as (

    select valued_states._values_pointer as _pointer
    from states as valued_states
    left join affected
        on valued_states._values_pointer = affected._pointer
    where affected._pointer is null

),
{%- endif %}

-- Last changes that are not the ones whose values are kept: deletes and absences.
ends as (

    select
        {{ cdc_keys(table, 'ended') }},
        ended._values_pointer,
        ended._op,
        ended._epoch,
        case when ended._stage > 0 then last_changes._change_seq end as _change_seq,
        case
            when ended._stage > 0 then last_changes._committed_at
            else ended._happened_at
        end as _committed_at,
        last_changes._source_file,
        last_changes._ingested_at
    from states as ended
    inner join {{ (
        rows_at(base, ['select states._pointer from states']) if scope == 'some'
        else every_row_of(base)
    ) | indent(4) }} as last_changes
        on ended._pointer = last_changes._pointer
    where ended._stage = 0
        or ended._values_pointer is null
        or ended._values_pointer <> ended._pointer

)
{%- if scope == 'all' %},

-- What became of changes of the keys that had to be ordered: their values are not their state's, or they
-- are and the key has an end.
verdicts as (

    select
        of_ordered._pointer,
        true as _is_superseded,
        {%- for name, data_type in cdc_columns_of_end() %}
        cast(null as {{ data_type }}) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (

        select ordered_plainly._pointer
        from {{ cdc_plainly_ordered(table) | indent(8) }} as ordered_plainly
        union all
        {{ cdc_pointers_of_chosen(table, base) | indent(8) }}

    ) as of_ordered
    left join states
        on of_ordered._pointer = states._values_pointer
    where states._values_pointer is null
    union all
    select
        ends._values_pointer as _pointer,
        false as _is_superseded,
        {%- for name, data_type in cdc_columns_of_end() %}
        ends.{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from ends
    where ends._values_pointer is not null

)

select
    {%- for column in table.columns %}
    valued.{{ column.name }},
    {%- endfor %}
    coalesce(verdicts._op, valued._op) = 'D' as _is_deleted,
    coalesce(verdicts._op, valued._op) as _op,
    coalesce(
        verdicts._epoch,
        {{ cdc_placed_epoch(cdc_epochs(table), 'valued._epoch', 'valued._committed_at') | indent(8) }}
    ) as _epoch,
    {{- cdc_last_words('verdicts') }}
from {{ every_row_of(base, for_most=true) }} as valued
left join verdicts
    on valued._pointer = verdicts._pointer
where not coalesce(verdicts._is_superseded, valued._op = 'T')
union all
-- Keys of which no values are known.
select
    {{ cdc_columns_without_values(table, 'ends') }},
    ends._op = 'D' as _is_deleted,
    {%- for name, data_type in cdc_columns_of_end() %}
    ends.{{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from ends
where ends._values_pointer is null
{%- else %}

select
    {%- for column in table.columns %}
    {{ 'states' if column.name in table.key else 'valued' }}.{{ column.name }},
    {%- endfor %}
    states._op = 'D' as _is_deleted,
    states._op,
    states._epoch,
    {{- cdc_last_words('ends') }}
from states
left join {{ rows_at(base, cdc_values_pointers()) }} as valued
    on states._values_pointer = valued._pointer
left join ends
    on {{ cdc_key_match(table, 'states', 'ends') }}
{%- endif %}
{%- endmacro %}


{# What a key's end says of its state: names and types of columns. #}
{% macro cdc_columns_of_end() -%}
    {%- do return([
        ('_op', 'varchar'), ('_epoch', 'bigint'), ('_change_seq', 'varchar'),
        ('_committed_at', 'timestamp'), ('_source_file', 'varchar'), ('_ingested_at', 'timestamp'),
    ]) -%}
{%- endmacro %}


{# SQL: the columns that say where a state comes from: of the key's end where it has one, else of the
   change whose values it holds. #}
{% macro cdc_last_words(ends) -%}
    {%- for name, data_type in cdc_columns_of_end()[2:] %}
    case when {{ ends }}._op is null then valued.{{ name }} else {{ ends }}.{{ name }} end
        as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{# Selects of pointers to the changes whose values the states hold: nearly always changes that have
   just landed, else what a key that was deleted last lived with. DuckDB skips the blocks that hold none
   of them only where it can see that none is NULL. #}
{% macro cdc_values_pointers() -%}
    {%- do return([
        'select affected._pointer from affected',
        'select older_values._pointer from older_values where older_values._pointer is not null',
    ]) -%}
{%- endmacro %}


{# Configuration that stg_dms__ and hist_dms__ share; called at parse time only, when dbt reads it. #}
{% macro cdc_fold_config(table_name, source_name, strategy, dated_by, more_meta) -%}
    {{- config(
        materialized='incremental',
        incremental_strategy=strategy,
        unique_key=declared_unique_key(),
        partitioned_by=by_month_of(dated_by),
        on_schema_change='append_new_columns',
        post_hook="{{ mark_pending_seen('base_dms__" ~ table_name ~ "', this.identifier) }}",
        meta=dict({'cdc_table': table_name, 'cdc_source': source_name}, **more_meta),
    ) -}}
{%- endmacro %}
