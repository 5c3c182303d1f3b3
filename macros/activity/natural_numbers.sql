{# SQL: the whole numbers 0 … 99,999 as column `number`, from ten digits crossed with themselves.
   Enough for the days of 273 years. One text for all engines: Trino's sequence() ends at 10,000. #}
{% macro natural_numbers() -%}
    {%- set places = ['ones', 'tens', 'hundreds', 'thousands', 'ten_thousands'] -%}
    select
        {% for place in places -%}
        {{ 10 ** loop.index0 }} * {{ place }}.digit{{ ' + ' if not loop.last }}
        {%- endfor %} as number
    from
        {%- for place in places %}
        {{ 'cross join' if not loop.first }}
        (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as {{ place }} (digit)
        {%- endfor %}
{%- endmacro %}
