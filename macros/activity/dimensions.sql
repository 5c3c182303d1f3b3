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


{# A select that counts the rows of a relation, which has the columns of all dimensions, by each dimension
   and by further columns: dimension_name, dimension_value, the columns, and the count.
   Fails without: Trino reads the relation, and all that it is made of, once for every time it is named;
   on DuckDB six passes over what it holds anyway are less than one over six times the rows. #}
{% macro count_by_dimension(relation, columns, count_name) -%}
    {{ return(adapter.dispatch('count_by_dimension', 'synapse')(relation, columns, count_name)) }}
{%- endmacro %}

{% macro default__count_by_dimension(relation, columns, count_name) -%}
    {% for name, column in dimensions().items() %}
    {%- if not loop.first %}
    union all
    {% endif %}
    select
        '{{ name }}' as dimension_name,
        {{ column }} as dimension_value,
        {{ columns | join(',\n        ') }},
        count(*) as {{ count_name }}
    from {{ relation }}
    group by
        {{ column }},
        {{ columns | join(',\n        ') }}
    {% endfor %}
{%- endmacro %}

{% macro athena__count_by_dimension(relation, columns, count_name) -%}
    {%- set value -%}
        case dimension.name
            {%- for name, column in dimensions().items() %}
            when '{{ name }}' then {{ column }}
            {%- endfor %}
        end
    {%- endset %}
    select
        dimension.name as dimension_name,
        {{ value }} as dimension_value,
        {{ columns | join(',\n        ') }},
        count(*) as {{ count_name }}
    from {{ relation }}
    cross join (
        values
        {%- for name in dimensions() %}
        ('{{ name }}'){{ ',' if not loop.last }}
        {%- endfor %}
    ) as dimension (name)
    group by
        dimension.name,
        {{ value }},
        {{ columns | join(',\n        ') }}
{%- endmacro %}
