{# A select of the named physical columns from exactly these files, NULL where a file lacks one, plus the
   file's name as the manifest spells it. Columns that nobody asked for are ignored.
   Fails without: DuckDB reads files directly (read_parquet with a list), Athena only through a Glue
   table over the prefix, where literals on "$path" prune to exactly those files (`like` does not). #}
{% macro read_bronze(relation, columns, files, name_column='_source_file') -%}
    {{ return(adapter.dispatch('read_bronze', 'synapse')(relation, columns, files, name_column)) }}
{%- endmacro %}

{% macro default__read_bronze(relation, columns, files, name_column) -%}
    {%- set root = lake_root() ~ '/' -%}
    {%- set names = [] -%}
    {%- for file in files -%}{%- do names.append(root ~ file) -%}{%- endfor -%}
select
    {%- for column in columns %}
    any_file.{{ column }},
    {%- endfor %}
    {{ relative_to_lake('any_file._lake_file') }} as {{ name_column }}
from (
    -- Names every column once, so that one which no file carries is NULL instead of an error.
    select
        {%- for column in columns %}
        null as {{ column }},
        {%- endfor %}
        cast(null as varchar) as _lake_file
    where false
    {%- if files | length > 0 %}
    union all by name
    select *
    from read_parquet(
        [{{ sql_texts(names) }}],
        union_by_name = true,
        filename = '_lake_file',
        hive_partitioning = false
    )
    {%- endif %}
) as any_file
{%- endmacro %}

{% macro athena__read_bronze(relation, columns, files, name_column) -%}
    {%- set root = lake_root() ~ '/' -%}
    {%- set names = [] -%}
    {%- for file in files -%}{%- do names.append(root ~ file) -%}{%- endfor -%}
select
    {%- for column in columns %}
    any_file.{{ column }},
    {%- endfor %}
    {{ relative_to_lake('any_file."$path"') }} as {{ name_column }}
from {{ relation }} as any_file
where
    {%- if files | length > 0 %}
    any_file."$path" in ({{ sql_texts(names) }})
    {%- else %}
    false
    {%- endif %}
{%- endmacro %}
