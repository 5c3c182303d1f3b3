{# Physical name of a schema.
   Fails without: Glue databases are one flat namespace per account and region, so `gold` of two
   deployments would be one database; a DuckDB file is its own namespace. #}
{% macro schema_name(name) -%}
    {{ return(adapter.dispatch('schema_name', 'synapse')(name | trim)) }}
{%- endmacro %}

{% macro default__schema_name(name) -%}
    {%- do return(name) -%}
{%- endmacro %}

{% macro athena__schema_name(name) -%}
    {%- do return(env_var('SYNAPSE_SCHEMA_PREFIX', 'synapse_') ~ name) -%}
{%- endmacro %}
