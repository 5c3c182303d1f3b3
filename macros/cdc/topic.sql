{# Manifest name of a topic's records, from the declaration in models/bronze/_kconnect__sources.yml. #}
{% macro topic_source(table_name) -%}
    {%- do return('kconnect.' ~ topic_declaration(table_name).config.meta.topic) -%}
{%- endmacro %}


{# A topic's node in the graph; only while executing. #}
{% macro topic_declaration(table_name) -%}
    {%- do return(
        graph.sources.values()
        | selectattr('source_name', 'equalto', 'kconnect')
        | selectattr('name', 'equalto', table_name)
        | first
    ) -%}
{%- endmacro %}


{# Post-hook of a topic's base model. #}
{% macro topic_mark_files_seen(table_name, model_name) -%}
    {%- if execute -%}
        {%- do return(mark_files_seen(topic_source(table_name), model_name)) -%}
    {%- endif -%}
{%- endmacro %}


{# base_kconnect__<table>: the rows of every distinct delivery of a topic's consolidated parts,
   append-only. A delivery is a record at its place in Kafka; Kafka Connect may land it in several
   files, ingest in several parts. `feeds` names the models that follow this one, `dated_by` the column
   by whose month its rows lie together. #}
{% macro topic_base(table_name, feeds, dated_by) -%}
    {{- config(
        materialized='incremental',
        incremental_strategy='append',
        partitioned_by=by_month_of(dated_by),
        on_schema_change='append_new_columns',
        post_hook=[
            "{{ forget_files_seen(this.identifier, " ~ feeds ~ ") }}",
            "{{ topic_read_further('" ~ table_name ~ "') }}",
            "{{ topic_mark_files_seen('" ~ table_name ~ "', this.identifier) }}",
        ],
    ) -}}
    {%- set parts = source('kconnect', table_name) -%}
    {%- if not execute -%}{%- do return('select 1 as placeholder') -%}{%- endif -%}
    {%- set files = files_by_statement(files_to_read(topic_source(table_name), model.name))[0] -%}
    {{ topic_rows(table_name, parts, files, is_incremental()) }}
{%- endmacro %}


{# Post-hook of a topic's base model: as cdc_read_further. #}
{% macro topic_read_further(table_name) -%}
    {%- if execute and characters_of_paths() is not none -%}
        {%- set parts = source('kconnect', table_name) -%}
        {%- set unseen = files_to_read(topic_source(table_name), model.name, true) -%}
        {%- for files in files_by_statement(unseen)[1:] -%}
            {%- do append_to_this(topic_rows(table_name, parts, files, true)) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{# The rows of the deliveries in these parts that the table does not hold, or all of them where it is
   built from them. #}
{% macro topic_rows(table_name, parts, files, is_appending) -%}
    {%- set topic = topic_source(table_name) -%}
    {%- set columns = topic_declaration(table_name).columns.values() | list -%}
    {%- set technical = {
        '_kafka_partition': 'integer',
        '_kafka_offset': 'bigint',
        '_payload_hash': 'varchar',
    } -%}
    {%- set lineage = ['_source_file', '_source_line'] -%}
    {%- set names = columns | map(attribute='name') | list + technical.keys() | list + lineage -%}
    {#- Offsets only grow: what may be held already lies near what landed. #}
    {%- set offsets = 'cast(_kafka_offset as bigint)' -%}
    {%- set ranges = value_ranges(
        'landed', offsets, 'bigint',
        'landed as (' ~ read_bronze(parts, ['_kafka_offset'], files, '_part_file') ~ '),'
    ) if is_appending and files else none -%}

with landed as (

    {{ read_bronze(parts, names, files, '_part_file') | indent }}

),

accepted as (

    select distinct
        files_accepted.path,
        files_accepted.ingested_at
    from {{ ops_relation('files_accepted') }} as files_accepted
    where files_accepted.source = {{ sql_text(topic) }}

),

typed as (

    select
        {%- for column in columns %}
        {{ cdc_typed('landed.' ~ column.name, column.data_type) }} as {{ column.name }},
        {%- endfor %}
        {%- for name, data_type in technical.items() %}
        cast(landed.{{ name }} as {{ data_type }}) as {{ name }},
        {%- endfor %}
        cast(landed._source_file as varchar) as _source_file,
        cast(landed._source_line as bigint) as _source_line,
        accepted.ingested_at as _ingested_at
    from landed
    inner join accepted
        on landed._part_file = accepted.path

),

identified as (

    select
        typed.*,
        coalesce(cast(typed._kafka_partition as varchar), '')
            || ':' || coalesce(cast(typed._kafka_offset as varchar), '')
            || ':' || typed._payload_hash as _delivery_id
    from typed

),

-- rank, not row_number: the rows of one delivered document share file and line and stay together.
copies as (

    select
        identified.*,
        rank() over (
            partition by identified._delivery_id
            order by
                identified._ingested_at,
                identified._source_file,
                identified._source_line
        ) as _copy_number
    from identified

)

select
    {%- for column in columns %}
    copies.{{ column.name }},
    {%- endfor %}
    {%- for name in technical %}
    copies.{{ name }},
    {%- endfor %}
    copies._delivery_id,
    copies._source_file,
    copies._ingested_at
from copies
where copies._copy_number = 1
    {%- if is_appending %}
    and not exists (
        select 1
        from {{ this }} as known
        where known._delivery_id = copies._delivery_id
            {%- if ranges is not none %}
            and {{ is_in_ranges('known._kafka_offset', ranges, or_null=true) | indent(12) }}
            {%- endif %}
    )
    {%- endif %}
{%- endmacro %}
