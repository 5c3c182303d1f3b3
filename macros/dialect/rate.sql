{# Share of two counts (0–1, six decimals, half up), NULL when the denominator is 0 or NULL.
   Fails without: DuckDB divides to a double and Trino to a decimal, and a double rounds ties such as
   1/80000 by its binary neighbour. Integer arithmetic is the same everywhere; only its operator is
   not. #}
{% macro rate(numerator, denominator) -%}
    {{ return(adapter.dispatch('rate', 'synapse')(numerator, denominator)) }}
{%- endmacro %}

{% macro default__rate(numerator, denominator) -%}
    cast(
        (
            (2000000 * cast({{ numerator }} as bigint) + {{ denominator }})
            // nullif(2 * cast({{ denominator }} as bigint), 0)
        ) / 1000000.0
        as decimal(18, 6)
    )
{%- endmacro %}

{% macro athena__rate(numerator, denominator) -%}
    cast(
        cast(
            (2000000 * cast({{ numerator }} as bigint) + {{ denominator }})
            / nullif(2 * cast({{ denominator }} as bigint), 0)
            as decimal(18, 6)
        ) / 1000000
        as decimal(18, 6)
    )
{%- endmacro %}

{% macro redshift__rate(numerator, denominator) -%}
    cast(
        cast(
            (2000000 * cast({{ numerator }} as bigint) + {{ denominator }})
            / nullif(2 * cast({{ denominator }} as bigint), 0)
            as decimal(18, 6)
        ) / 1000000
        as decimal(18, 6)
    )
{%- endmacro %}
