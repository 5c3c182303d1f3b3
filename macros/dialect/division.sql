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


{# An exact decimal. Fails without: 0.0001 is a double to Athena, and decimal '0.0001' has three places
   on DuckDB. #}
{% macro decimal_literal(text) -%}
    {%- set places = text.split('.')[1] | length -%}
    cast('{{ text }}' as decimal({{ places + 1 }}, {{ places }}))
{%- endmacro %}


{# Mean of `count` decimals with four places from their exact sum: decimal(6,4), halves away from zero,
   NULL for none. An engine's avg() of decimals is a double on DuckDB and cut off on Redshift. #}
{% macro decimal_mean(total, count) -%}
    {%- set units = 'cast(' ~ total ~ ' * 10000 as bigint)' -%}
    cast(
        case
            when {{ total }} < 0 then {{ decimal_literal('-0.0001') }} else {{ decimal_literal('0.0001') }}
        end
        * cast(
            {{ whole_quotient('2 * abs(' ~ units ~ ') + ' ~ count, '2 * ' ~ count) }}
            as decimal(9, 0)
        )
        as decimal(6, 4)
    )
{%- endmacro %}
