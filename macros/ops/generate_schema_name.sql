{# Schemas carry the medallion word itself (silver, gold, ops, snapshots), never <target>_<word>:
   readers find the same names on every engine. Glue databases are shared by a whole account, so
   Athena puts a configurable prefix in front (see athena__schema_name). #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name is none -%}
        {{ target.schema }}
    {%- else -%}
        {{ schema_name(custom_schema_name) }}
    {%- endif -%}
{%- endmacro %}
