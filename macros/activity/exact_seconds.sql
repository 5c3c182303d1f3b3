{# Seconds from one naive timestamp to a later one with all six decimals, as decimal(18,6). Multiplied,
   not divided: a quotient of integers is a double on DuckDB. #}
{% macro exact_seconds_between(earlier, later) -%}
    cast(
        cast({{ epoch_microseconds(later) }} - {{ epoch_microseconds(earlier) }} as decimal(18, 0))
        * {{ decimal_literal('0.000001') }}
        as decimal(18, 6)
    )
{%- endmacro %}
