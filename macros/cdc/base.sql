{# base_dms__<table>: every distinct change, typed, append-only. Reads exactly the manifest's files
   that this model has not seen, as literals. #}
{% macro cdc_base(table_name, source_name='dms_synapse') -%}
    {{- config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        post_hook=[
            "{{ forget_files_seen(this.identifier, cdc_fed_models('" ~ table_name ~ "')) }}",
            "{{ cdc_mark_files_seen('" ~ table_name ~ "', '" ~ source_name ~ "') }}",
        ],
    ) -}}
    {%- set bronze = source(source_name, table_name) -%}
    {%- if not execute -%}{%- do return('select 1 as placeholder') -%}{%- endif -%}
    {%- set table = cdc_table(table_name, source_name) -%}
    {%- set files = files_to_read(table.source, model.name) -%}

with landed as (

    {{ read_bronze(bronze, cdc_landed_columns(table), files) | indent }}

),

accepted as (

    select distinct
        files_accepted.path,
        files_accepted.epoch,
        files_accepted.ingested_at
    from {{ ops_relation('files_accepted') }} as files_accepted
    where files_accepted.source = {{ sql_text(table.source) }}

),

typed as (

    select
        {%- for column in table.columns %}
        {{ cdc_typed('landed.' ~ column.name, column.data_type) }} as {{ column.name }},
        {%- endfor %}
        {%- for column in table.columns if column.name in table.key %}
        {{ cdc_typed('landed.bi_' ~ column.name, column.data_type) }} as _bi_{{ column.name }},
        {%- endfor %}
        -- A load without Op is all inserts: DMS leaves the column out unless told.
        case
            when accepted.epoch is not null then 'I'
            else upper(trim(cast(landed.{{ table.op_column }} as varchar)))
        end as _op,
        accepted.epoch as _epoch,
        nullif(trim(cast(landed.{{ table.sequence_column }} as varchar)), '') as _change_seq,
        {{ utc_timestamp("nullif(trim(cast(landed." ~ table.commit_column ~ " as varchar)), '')") }}
            as _committed_at,
        landed._source_file,
        accepted.ingested_at as _ingested_at
    from landed
    inner join accepted
        on landed._source_file = accepted.path

),

hashed as (

    select
        typed.*,
        {{ cdc_row_hash(table.columns, 'typed') }} as _row_hash
    from typed

),

identified as (

    select
        hashed.*,
        {{ cdc_change_id(table, 'hashed') }} as _change_id
    from hashed

),

-- The same change may land in several files; which one is named is decided by arrival, never by
-- chance.
delivered as (

    select
        identified.*,
        row_number() over (
            partition by identified._change_id
            order by identified._ingested_at, identified._source_file
        ) as _delivery_number
    from identified

)

select
    {%- for column in table.columns %}
    delivered.{{ column.name }},
    {%- endfor %}
    {%- for key in table.key %}
    delivered._bi_{{ key }},
    {%- endfor %}
    delivered._change_id,
    delivered._op,
    delivered._epoch,
    delivered._change_seq,
    delivered._committed_at,
    delivered._row_hash,
    delivered._source_file,
    delivered._ingested_at
from delivered
where delivered._delivery_number = 1
    {%- if is_incremental() %}
    and not exists (
        select 1
        from {{ this }} as known
        where known._change_id = delivered._change_id
    )
    {%- endif %}
{%- endmacro %}


{# Physical columns that a landed file of the table may carry. #}
{% macro cdc_landed_columns(table) -%}
    {%- set names = [table.op_column, table.commit_column, table.sequence_column] -%}
    {%- for column in table.columns -%}{%- do names.append(column.name) -%}{%- endfor -%}
    {%- for key in table.key -%}{%- do names.append('bi_' ~ key) -%}{%- endfor -%}
    {%- do return(names) -%}
{%- endmacro %}


{# One landed column as its declared type. #}
{% macro cdc_typed(column, data_type) -%}
    {%- if data_type == 'timestamp' -%}
        {{ utc_timestamp(column) }}
    {%- else -%}
        cast({{ column }} as {{ data_type }})
    {%- endif -%}
{%- endmacro %}


{# Identity of a change: table, key, key before, op, commit time, sequence, declared values, and for
   load rows the epoch. The values belong in it even with a sequence: two different rows under one
   sequence number are a tie that silver must settle by content and count, not by which came first. #}
{% macro cdc_change_id(table, qualifier) -%}
    {%- set parts = [sql_text(table.source)] -%}
    {%- for column in table.columns if column.name in table.key -%}
        {# A before image that repeats the key says nothing: with and without it is one change. #}
        {%- set before = 'nullif(' ~ qualifier ~ '._bi_' ~ column.name ~ ', '
            ~ qualifier ~ '.' ~ column.name ~ ')' -%}
        {%- do parts.append(
            "coalesce(" ~ canonical_text(before, column.data_type) | trim ~ ", '')"
        ) -%}
    {%- endfor -%}
    {%- do parts.append(qualifier ~ '._op') -%}
    {%- do parts.append("coalesce(cast(" ~ qualifier ~ "._epoch as varchar), '')") -%}
    {%- do parts.append("coalesce(" ~ qualifier ~ "._change_seq, '')") -%}
    {%- do parts.append(
        "coalesce(" ~ canonical_text(qualifier ~ '._committed_at', 'timestamp') | trim ~ ", '')"
    ) -%}
    {%- do parts.append(qualifier ~ '._row_hash') -%}
    {{ digest_hex(parts | join('\n            || chr(31) || ')) }}
{%- endmacro %}
