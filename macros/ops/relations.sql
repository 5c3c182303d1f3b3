{# The relation of one of the run's own tables: run_context, files_accepted, files_seen. #}
{% macro ops_relation(name) -%}
    {%- do return(api.Relation.create(
        database=target.database, schema=schema_name('ops') | trim, identifier=name
    )) -%}
{%- endmacro %}


{# True when the ops table is there: always where on-run-start has made it (dbt's cache is older and
   may not know); otherwise asked, because `dbt compile`, `dbt docs generate` and the lint templater
   fire no hook and must render on a warehouse that never ran. #}
{% macro ops_table_exists(name) -%}
    {%- if not execute -%}{%- do return(false) -%}{%- endif -%}
    {%- if flags.WHICH in ('build', 'run', 'snapshot', 'test', 'seed') -%}
        {%- do return(true) -%}
    {%- endif -%}
    {%- set relation = ops_relation(name) -%}
    {%- do return(
        adapter.get_relation(relation.database, relation.schema, relation.identifier) is not none
    ) -%}
{%- endmacro %}


{# The lake's root without a closing slash: a folder or an s3:// prefix. #}
{% macro lake_root() -%}
    {%- do return(env_var('SYNAPSE_LAKE', 'lake').rstrip('/')) -%}
{%- endmacro %}


{# SQL: a file's full name without the lake's root, as the manifest spells it. #}
{% macro relative_to_lake(column) -%}
    substr({{ column }}, {{ (lake_root() | length) + 2 }})
{%- endmacro %}


{# Text as a SQL literal. #}
{% macro sql_text(value) -%}
    {%- do return("'" ~ (value | string).replace("'", "''") ~ "'") -%}
{%- endmacro %}


{# Texts as a comma-separated list of SQL literals. #}
{% macro sql_texts(values) -%}
    {%- set literals = [] -%}
    {%- for value in values -%}{%- do literals.append(sql_text(value)) -%}{%- endfor -%}
    {%- do return(literals | join(', ')) -%}
{%- endmacro %}
