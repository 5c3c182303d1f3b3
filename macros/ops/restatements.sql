{# SQL literal: one text for all that defines the figures, which is every model of silver and gold, every
   seed and the business time zone. Another text means that the definitions changed. #}
{% macro project_definition() -%}
    {%- set parts = [business_timezone()] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | sort(attribute='unique_id') -%}
            {%- if node.resource_type == 'seed' or (
                node.resource_type == 'model' and node.fqn[1] in ('silver', 'gold')
            ) -%}
                {%- do parts.append(node.unique_id ~ ' ' ~ node.checksum.checksum) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do return(sql_text(local_md5(parts | join('\n')))) -%}
{%- endmacro %}
