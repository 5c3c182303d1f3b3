{# Whole-number quotient of two counts, NULL when the divisor is 0.
   Fails without: `/` between integers is a double on DuckDB, and Trino and Redshift have no `//`. #}
{% macro whole_quotient(dividend, divisor) -%}
    {{ return(adapter.dispatch('whole_quotient', 'synapse')(dividend, divisor)) }}
{%- endmacro %}

{% macro default__whole_quotient(dividend, divisor) -%}
    (({{ dividend }}) // nullif({{ divisor }}, 0))
{%- endmacro %}

{% macro athena__whole_quotient(dividend, divisor) -%}
    (({{ dividend }}) / nullif({{ divisor }}, 0))
{%- endmacro %}

{% macro redshift__whole_quotient(dividend, divisor) -%}
    (({{ dividend }}) / nullif({{ divisor }}, 0))
{%- endmacro %}


{# Mean of `count` decimals with four places from their exact sum: decimal(6,4), halves away from zero,
   NULL for none. An engine's avg() of decimals is a double on DuckDB and cut off on Redshift. #}
{% macro decimal_mean(total, count) -%}
    {%- set units = 'cast(' ~ total ~ ' * 10000 as bigint)' -%}
    cast(
        case when {{ total }} < 0 then -0.0001 else 0.0001 end
        * cast(
            {{ whole_quotient('2 * abs(' ~ units ~ ') + ' ~ count, '2 * ' ~ count) }}
            as decimal(9, 0)
        )
        as decimal(6, 4)
    )
{%- endmacro %}
