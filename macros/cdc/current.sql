{# stg_dms__<table>: the current state, one row per key ever seen. Recomputes the keys of newly landed
   changes from all of their changes, so neither order nor repetition of files matters. #}
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

latest as (

    select
        recent.*
    from (
        select
            ranked.*,
            row_number() over (
                partition by {{ cdc_keys(table, 'ranked') }}
                order by ranked._rank desc
            ) as _recency
        from ranked
    ) as recent
    where recent._recency = 1

),

-- Deleted keys keep the values they last lived with; a delete may carry nothing but the key.
living as (

    select
        recent.*
    from (
        select
            {{ cdc_keys(table, 'ranked') }},
            ranked._change_id,
            row_number() over (
                partition by {{ cdc_keys(table, 'ranked') }}
                order by ranked._rank desc
            ) as _recency
        from ranked
        where ranked._op <> 'D'
    ) as recent
    where recent._recency = 1

),

states as (

    select
        latest.*,
        case
            when living._change_id is not null then living._change_id
            when not latest._is_departure then latest._change_id
        end as _values_id
    from latest
    left join living
        on {{ cdc_key_match(table, 'latest', 'living') }}

)

select
    {%- for column in table.columns %}
    {{ 'states' if column.name in table.key else 'valued' }}.{{ column.name }},
    {%- endfor %}
    states._op = 'D' as _is_deleted,
    states._op,
    cast(states._epoch as bigint) as _epoch,
    states._change_seq,
    states._committed_at,
    states._source_file,
    states._ingested_at
from states
left join {{ base }} as valued
    on states._values_id = valued._change_id
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
