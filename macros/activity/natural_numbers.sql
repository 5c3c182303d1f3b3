{# SQL: the whole numbers 0 … 99,999 as column `number`, from ten digits crossed with themselves.
   Enough for the days of 273 years. One text for all engines: Trino's sequence() ends at 10,000. #}
{% macro natural_numbers() -%}
    select
        ones.digit + 10 * tens.digit + 100 * hundreds.digit + 1000 * thousands.digit
            + 10000 * ten_thousands.digit as number
    from digits as ones
    cross join digits as tens
    cross join digits as hundreds
    cross join digits as thousands
    cross join digits as ten_thousands
{%- endmacro %}
