{# Shadows dbt-athena's macro of this name: a built Iceberg table that is dropped or replaced leaves the
   catalogue, and its files stay, so that `synapse rollback` can bring it back; `synapse maintain` removes
   them once no restore point needs them. Temporary tables go with their files, as ever. #}
{% macro drop_relation_glue(relation) -%}
    {%- set name = relation.identifier -%}
    {%- set is_temporary = '__dbt_tmp' in name or name.endswith('__ha') or '__tmp_not_partitioned' in name -%}
    {%- set kind = adapter.get_glue_table_type(relation) -%}
    {%- if is_temporary or kind is none or kind.value != 'iceberg_table' -%}
        {%- do adapter.clean_up_table(relation) -%}
    {%- endif -%}
    {%- do adapter.delete_from_glue_catalog(relation) -%}
{%- endmacro %}
