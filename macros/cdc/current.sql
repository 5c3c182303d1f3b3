{# stg_dms__<table>: the current state, one row per key ever seen. Recomputes the keys of newly landed
   changes from all of their changes, so neither order nor repetition of files matters. What that reads
   of the past is told in ranked.sql. #}
{% macro cdc_current(table_name, source_name='dms_synapse') -%}
    {%- set base_name = 'base_dms__' ~ table_name -%}
    {%- set base = ref(base_name) -%}
    {%- if not execute -%}
        {{- cdc_fold_config(table_name, source_name) -}}
        {%- do return('select 1 as placeholder') -%}
    {%- endif -%}
    {%- set table = cdc_table(table_name, source_name) -%}
    {%- set scope = pending_scope(base_name, model.name) -%}
    {%- if scope == 'none' -%}
        {%- do return('select * from ' ~ this ~ ' where false') -%}
    {%- endif -%}

with {{ cdc_ranked(table, base, base_name, model.name, scope) }},

states as (

    select
        {{ cdc_keys(table, 'ranked') }},
        -- A deleted key keeps the values that it last lived with: a delete may carry nothing but
        -- the key.
        coalesce(
            ranked._living_id,
            case when not ranked._is_departure then ranked._change_id end
        ) as _values_id,
        ranked._op,
        ranked._epoch,
        ranked._change_seq,
        ranked._committed_at,
        ranked._source_file,
        ranked._ingested_at
    from ranked
    where ranked._is_last

)

select
    {%- for column in table.columns %}
    {{ 'states' if column.name in table.key else 'valued' }}.{{ column.name }},
    {%- endfor %}
    states._op = 'D' as _is_deleted,
    states._op,
    states._epoch,
    states._change_seq,
    states._committed_at,
    states._source_file,
    states._ingested_at
from states
left join {{ values_of(base, table.key, 'states', '_values_id') if scope == 'some' else base }} as valued
    on {{ cdc_key_match(table, 'states', 'valued') }}
    and states._values_id = valued._change_id
{%- if scope == 'all' %}
union all
select
    {%- for column in table.columns %}
    lone_changes.{{ column.name }},
    {%- endfor %}
    lone_changes._op = 'D' as _is_deleted,
    lone_changes._op,
    lone_changes._epoch,
    lone_changes._change_seq,
    lone_changes._committed_at,
    lone_changes._source_file,
    lone_changes._ingested_at
from (

    {{ cdc_lone(table, base) | indent }}

) as lone_changes
{%- endif %}
{%- endmacro %}


{# Configuration that stg_dms__ and hist_dms__ share; called at parse time only, when dbt reads it. #}
{% macro cdc_fold_config(table_name, source_name, void_column=none) -%}
    {{- config(
        materialized='incremental',
        incremental_strategy=replace_keys_strategy(),
        on_schema_change='append_new_columns',
        post_hook="{{ mark_pending_seen('base_dms__" ~ table_name ~ "', this.identifier) }}",
        meta={
            'cdc_table': table_name,
            'cdc_source': source_name,
            'void_column': void_column,
        },
    ) -}}
{%- endmacro %}
