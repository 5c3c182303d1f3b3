{# A select of the named physical columns from exactly these files ([{path, layout}]), NULL where a file
   lacks one, plus the file's name as the manifest spells it. Columns that nobody asked for are ignored.
   Fails without: DuckDB reads files directly (read_parquet with a list), Athena only through a Glue
   table over the prefix, where literals on "$path" prune to exactly those files (`like` does not). #}
{% macro read_bronze(relation, columns, files, name_column='_source_file') -%}
    {{ return(adapter.dispatch('read_bronze', 'synapse')(relation, columns, files, name_column)) }}
{%- endmacro %}

{% macro default__read_bronze(relation, columns, files, name_column) -%}
    {%- set root = lake_root() ~ '/' -%}
    {%- set names = [] -%}
    {%- for file in files -%}{%- do names.append(root ~ file.path) -%}{%- endfor -%}
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

{# One branch for each Glue table (synapse/athena/bronze_tables.py registers them). All columns as text,
   which every physical type becomes and from which every declared type is made again: branches agree
   whatever their files hold, and Athena counts bytes, not casts. #}
{% macro athena__read_bronze(relation, columns, files, name_column) -%}
    {%- set branches = {} -%}
    {%- for file in files -%}
        {%- set place = bronze_place(file.path) -%}
        {%- set name = relation.identifier ~ '__' ~ local_md5(
            [place.prefix, 'dated' if place.day else 'flat', file.layout] | join('|')
        )[:12] -%}
        {%- do branches.setdefault(name, {'layout': file.layout, 'paths': [], 'days': []}) -%}
        {%- do branches[name].paths.append(lake_root() ~ '/' ~ file.path) -%}
        {%- if place.day and place.day not in branches[name].days -%}
            {%- do branches[name].days.append(place.day) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not branches -%}
select
    {%- for column in columns %}
    cast(null as varchar) as {{ column }},
    {%- endfor %}
    cast(null as varchar) as {{ name_column }}
where false
    {%- endif -%}
    {%- for name, branch in branches.items() %}
{{ 'union all' if not loop.first }}
select
    {%- for column in columns %}
    {{ bronze_text('any_file.' ~ column, layout_unit(branch.layout, column)) }} as {{ column }},
    {%- endfor %}
    {{ relative_to_lake('any_file."$path"') }} as {{ name_column }}
from {{ glue_table(relation, name) }} as any_file
where any_file."$path" in ({{ sql_texts(branch.paths) }})
        {%- if branch.days %}
    -- Without it every folder would be listed.
    and any_file.landed_day in ({{ sql_texts(branch.days) }})
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{# A Glue table of bronze, in the database of a dbt source. #}
{% macro glue_table(relation, name) -%}
    {%- do return(api.Relation.create(
        database=target.database, schema=relation.schema, identifier=name
    )) -%}
{%- endmacro %}


{# How many characters of file names a statement may hold, none for any number. Models name their files up
   to three times.
   Fails without: Athena takes statements of 262,144 characters, which a rebuild of some months exceeds. #}
{% macro characters_of_paths() -%}
    {{ return(adapter.dispatch('characters_of_paths', 'synapse')()) }}
{%- endmacro %}

{% macro default__characters_of_paths() -%}
    {%- do return(none) -%}
{%- endmacro %}

{% macro athena__characters_of_paths() -%}
    {%- do return(70000) -%}
{%- endmacro %}


{# Where a file of the manifest lies: {prefix, day}; day is the date of its folder as the folder spells
   it, none for files that lie in no dated folder of the years for which partitions are projected. #}
{% macro bronze_place(path) -%}
    {%- set dated = modules.re.fullmatch(
        '(bronze/.+|consolidated/[^/]+)/(?:date=)?(20[1-9][0-9][-/][0-9]{2}[-/][0-9]{2})/[^/]+', path
    ) -%}
    {%- if dated -%}
        {%- do return({'prefix': dated.group(1), 'day': dated.group(2)}) -%}
    {%- endif -%}
    {%- do return({'prefix': path.rsplit('/', 1)[0], 'day': none}) -%}
{%- endmacro %}


{# How the files of a layout (`column=unit,…`) hold a column's moments, none for any other column. #}
{% macro layout_unit(layout, column) -%}
    {%- for item in layout.split(',') if item.split('=')[0] == column | lower -%}
        {%- do return(item.split('=')[1]) -%}
    {%- endfor -%}
    {%- do return(none) -%}
{%- endmacro %}


{# SQL of Trino: a landed column as text. A moment counted in a bigint, of which a Hive timestamp would
   keep milliseconds, becomes UTC with microseconds. #}
{% macro bronze_text(column, unit) -%}
    {%- set microseconds = {
        's': column ~ ' * 1000000',
        'ms': column ~ ' * 1000',
        'us': column,
        'ns': column ~ ' / 1000',
    } -%}
    cast({{ moment_of_microseconds(microseconds[unit]) if unit in microseconds else column }} as varchar)
{%- endmacro %}


{# SQL of Trino: microseconds since 1970 as a naive UTC timestamp. #}
{% macro moment_of_microseconds(expression) -%}
    cast(at_timezone(from_unixtime_nanos({{ expression }} * 1000), 'UTC') as timestamp(6))
{%- endmacro %}
