{# What every query says of itself, so that its bytes are counted for its run and model. One line: dbt-athena
   writes it behind `--`. Neither the lake nor anything of its content. #}
{% macro query_comment(node) -%}
    {%- set said = {
        'app': 'synapse',
        'deployment': target.schema,
        'run_id': env_var('DBT_ENV_CUSTOM_ENV_SYNAPSE_RUN_ID', ''),
        'invocation_id': invocation_id,
        'node_id': node.unique_id if node else '',
    } -%}
    {%- do return(tojson(said)) -%}
{%- endmacro %}
