{# DDL of a small table that the run writes itself.
   Fails without: Athena's `create table` makes a Hive table, which takes no delete, unless told
   Iceberg with a location, and has no `varchar` column type in DDL. #}
{% macro create_ops_table(relation, columns) -%}
    {{ return(adapter.dispatch('create_ops_table', 'synapse')(relation, columns)) }}
{%- endmacro %}

{% macro default__create_ops_table(relation, columns) -%}
    create table if not exists {{ relation }} ({{ ops_column_list(columns) }})
{%- endmacro %}

{% macro athena__create_ops_table(relation, columns) -%}
    create table if not exists {{ relation.render_hive() }} ({{ ops_column_list(columns, 'string') }})
    location '{{ adapter.generate_s3_location(
        relation, s3_data_dir=target.s3_data_dir, s3_data_naming='schema_table'
    ) }}'
    tblproperties ('table_type' = 'iceberg')
{%- endmacro %}


{# DDL of what the runner has recorded, as the marts read it.
   Fails without: the runner writes into DuckDB's file, and on Athena replaces a Parquet file of the
   lake, over which a Hive table would cut moments to milliseconds: they are counted there, and a view
   makes them again. #}
{% macro create_recorded_table(relation, columns) -%}
    {{ return(adapter.dispatch('create_recorded_table', 'synapse')(relation, columns)) }}
{%- endmacro %}

{# Its rows are copied anew by every run, so none are lost where it lacked a column. #}
{% macro default__create_recorded_table(relation, columns) -%}
    drop table if exists {{ relation }};
    create table {{ relation }} ({{ ops_column_list(columns) }})
{%- endmacro %}

{% macro athena__create_recorded_table(relation, columns) -%}
    create or replace view {{ relation }} as
    select
        {%- for name, data_type in columns.items() %}
        {% if data_type == 'timestamp' -%}
        {{ moment_of_microseconds('recorded.' ~ name) }} as {{ name }}
        {%- else -%}
        recorded.{{ name }}
        {%- endif %}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ api.Relation.create(
        database=relation.database, schema=relation.schema, identifier=relation.identifier ~ '__rows'
    ) }} as recorded
{%- endmacro %}


{# Makes one file of the many of a table that nearly every model of a run asks and appends to.
   Fails without: on Athena each statement that appends leaves a file of a few rows, and each question
   reads them all, which by the third run takes longer than the question; DuckDB has one file. #}
{% macro compact_ops_table(relation) -%}
    {{ return(adapter.dispatch('compact_ops_table', 'synapse')(relation)) }}
{%- endmacro %}

{% macro default__compact_ops_table(relation) -%}
{%- endmacro %}

{% macro athena__compact_ops_table(relation) -%}
    {%- do adapter.run_operation_with_potential_multiple_runs(
        'OPTIMIZE ' ~ relation.schema ~ '.' ~ relation.identifier ~ ' REWRITE DATA USING BIN_PACK',
        'optimize'
    ) -%}
{%- endmacro %}


{# Adds columns to one of those tables.
   Fails without: as create_ops_table; Athena adds several at once, DuckDB one a statement. #}
{% macro add_ops_columns(relation, columns) -%}
    {{ return(adapter.dispatch('add_ops_columns', 'synapse')(relation, columns)) }}
{%- endmacro %}

{% macro default__add_ops_columns(relation, columns) -%}
    {%- for name, data_type in columns.items() -%}
        {%- do run_query('alter table ' ~ relation ~ ' add column ' ~ name ~ ' ' ~ data_type) -%}
    {%- endfor -%}
{%- endmacro %}

{% macro athena__add_ops_columns(relation, columns) -%}
    {%- do run_query(
        'alter table ' ~ relation.render_hive() ~ ' add columns (' ~ ops_column_list(columns, 'string') ~ ')'
    ) -%}
{%- endmacro %}


{# Names and types of columns. text: what texts are called. #}
{% macro ops_column_list(columns, text='varchar') -%}
    {%- for name, data_type in columns.items() -%}
        {{ name }} {{ text if data_type == 'varchar' else data_type }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{# Of these tables and views of ops those that are there, with the names of their columns.
   Fails without: Athena answers a query in a third of a second, and Glue at once. #}
{% macro ops_columns_present(names) -%}
    {{ return(adapter.dispatch('ops_columns_present', 'synapse')(names)) }}
{%- endmacro %}

{% macro default__ops_columns_present(names) -%}
    {%- set present = {} -%}
    {%- for row in run_query(
        'select table_name, column_name from information_schema.columns where table_schema = '
        ~ sql_text(schema_name('ops') | trim) ~ ' and table_name in (' ~ sql_texts(names) ~ ')'
    ).rows -%}
        {%- do present.setdefault(row[0], []).append(row[1]) -%}
    {%- endfor -%}
    {%- do return(present) -%}
{%- endmacro %}

{% macro athena__ops_columns_present(names) -%}
    {%- set schema = api.Relation.create(database=target.database, schema=schema_name('ops') | trim) -%}
    {%- set present = {} -%}
    {#- Marts are in the same schema, and Glue is asked for each. #}
    {%- for relation in adapter.list_relations_without_caching(schema) if relation.identifier in names -%}
        {%- do present.update({
            relation.identifier: adapter.get_columns_in_relation(relation) | map(attribute='name') | list
        }) -%}
    {%- endfor -%}
    {%- do return(present) -%}
{%- endmacro %}


{# Names of the manifest's parts.
   Fails without: DuckDB lists a folder with glob(); Athena knows files only as a table's "$path". #}
{% macro manifest_parts() -%}
    {{ return(adapter.dispatch('manifest_parts', 'synapse')()) }}
{%- endmacro %}

{% macro default__manifest_parts() -%}
    {%- set listing = run_query(
        'select file from glob(' ~ sql_text(lake_root() ~ '/manifest/*.parquet') ~ ') order by file'
    ) -%}
    {%- do return(listing.columns[0].values() | list) -%}
{%- endmacro %}

{% macro athena__manifest_parts() -%}
    {%- set listing = run_query(
        'select distinct "$path" as part from ' ~ glue_table(source('lake', 'manifest'), 'manifest')
        ~ ' order by part'
    ) -%}
    {%- do return(listing.columns[0].values() | list) -%}
{%- endmacro %}


{# A relation over the given manifest parts, with the part's name in `part`.
   Fails without: as manifest_parts; literals on "$path" are what prunes on Athena. #}
{% macro read_manifest_parts(parts) -%}
    {{ return(adapter.dispatch('read_manifest_parts', 'synapse')(parts)) }}
{%- endmacro %}

{% macro default__read_manifest_parts(parts) -%}
    (
        -- Parts of before there were layouts have no such column.
        select cast(null as varchar) as layout
        where false
        union all by name
        select *
        from read_parquet([{{ sql_texts(parts) }}], union_by_name = true, filename = 'part')
    )
{%- endmacro %}

{% macro athena__read_manifest_parts(parts) -%}
    (
        select
            lake_manifest.path,
            lake_manifest.source,
            lake_manifest.kind,
            lake_manifest.epoch,
            lake_manifest.layout,
            {%- for name in ['epoch_at', 'ingested_at', 'as_of'] %}
            {{ moment_of_microseconds('lake_manifest.' ~ name) }} as {{ name }},
            {%- endfor %}
            lake_manifest."$path" as part
        from {{ glue_table(source('lake', 'manifest'), 'manifest') }} as lake_manifest
        where "$path" in ({{ sql_texts(parts) }})
    )
{%- endmacro %}


{# Makes the session ready for the lake, and stops a run whose session would shift times.
   Fails without: DuckDB casts between timestamps with and without zone in the session's TimeZone,
   which is the machine's unless the profile says UTC; and it reads s3:// only once its extension is
   loaded, which takes keys and region from the environment. Trino and Redshift need neither. #}
{% macro prepare_session() -%}
    {{ return(adapter.dispatch('prepare_session', 'synapse')()) }}
{%- endmacro %}

{% macro default__prepare_session() -%}{%- endmacro %}

{% macro duckdb__prepare_session() -%}
    {%- set zone = run_query("select current_setting('TimeZone')").columns[0].values()[0] -%}
    {%- if zone not in ('UTC', 'Etc/UTC') -%}
        {%- do exceptions.raise_compiler_error(
            "The DuckDB session's TimeZone is " ~ zone ~ ": put `settings: {TimeZone: UTC}` under the"
            ~ " target in profiles.yml, as profiles.yml.example does"
        ) -%}
    {%- endif -%}
    {%- if lake_root().startswith('s3://') -%}
        {%- do run_query('load httpfs') -%}
        {%- if env_var('DUCKDB_S3_ENDPOINT', '') -%}
            {# An endpoint of one's own has no name for each bucket. #}
            {%- do run_query("set global s3_url_style = 'path'") -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
