{# R14: the dimensions of reports by dimension: their names, and the columns that hold their values. #}
{% macro dimensions() -%}
    {%- do return({
        'region': 'region',
        'country': 'country',
        'platform': 'platform',
        'acquisition_channel': 'acquisition_channel',
        'plan': 'plan_code',
        'segment': 'segment',
    }) -%}
{%- endmacro %}
