{# DDL of a small table that the run writes itself.
   Fails without: Athena's `create table` makes a Hive table, which takes no delete, unless told
   Iceberg with a location, and has no `varchar` column type in DDL. #}
{% macro create_ops_table(relation, columns) -%}
    {{ return(adapter.dispatch('create_ops_table', 'synapse')(relation, columns)) }}
{%- endmacro %}

{% macro default__create_ops_table(relation, columns) -%}
    create table if not exists {{ relation }} (
        {%- for name, data_type in columns.items() %}
        {{ name }} {{ data_type }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{% macro athena__create_ops_table(relation, columns) -%}
    create table if not exists {{ relation.render_hive() }} (
        {%- for name, data_type in columns.items() %}
        {{ name }} {{ 'string' if data_type == 'varchar' else data_type }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
    location '{{ adapter.generate_s3_location(
        relation, s3_data_dir=target.s3_data_dir, s3_data_naming='schema_table'
    ) }}'
    tblproperties ('table_type' = 'iceberg')
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
        'select distinct "$path" as part from ' ~ source('lake', 'manifest') ~ ' order by part'
    ) -%}
    {%- do return(listing.columns[0].values() | list) -%}
{%- endmacro %}


{# A relation over the given manifest parts, with the part's name in `part`.
   Fails without: as manifest_parts; literals on "$path" are what prunes on Athena. #}
{% macro read_manifest_parts(parts) -%}
    {{ return(adapter.dispatch('read_manifest_parts', 'synapse')(parts)) }}
{%- endmacro %}

{% macro default__read_manifest_parts(parts) -%}
    read_parquet([{{ sql_texts(parts) }}], union_by_name = true, filename = 'part')
{%- endmacro %}

{% macro athena__read_manifest_parts(parts) -%}
    (
        select lake_manifest.*, "$path" as part
        from {{ source('lake', 'manifest') }} as lake_manifest
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
