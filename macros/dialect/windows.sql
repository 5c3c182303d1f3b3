{# The last value that is not NULL among the rows up to this one, in the window's order.
   Fails without: DuckDB wants `ignore nulls` inside the function's parentheses, Trino behind them. #}
{% macro last_known(expression, window) -%}
    {{ return(adapter.dispatch('last_known', 'synapse')(expression, window)) }}
{%- endmacro %}

{% macro default__last_known(expression, window) -%}
    last_value({{ expression }}) ignore nulls over (
        {{ window }} rows between unbounded preceding and current row
    )
{%- endmacro %}

{% macro duckdb__last_known(expression, window) -%}
    last_value({{ expression }} ignore nulls) over (
        {{ window }} rows between unbounded preceding and current row
    )
{%- endmacro %}
