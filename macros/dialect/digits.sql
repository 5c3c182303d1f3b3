{# The digits of a text, NULL when it has none.
   Fails without: DuckDB and PostgreSQL replace only the first match unless told 'g', a flag that
   Trino's regexp_replace does not take. #}
{% macro digits_only(expression) -%}
    {{ return(adapter.dispatch('digits_only', 'synapse')(expression)) }}
{%- endmacro %}

{% macro default__digits_only(expression) -%}
    nullif(regexp_replace({{ expression }}, '[^0-9]', '', 'g'), '')
{%- endmacro %}

{% macro athena__digits_only(expression) -%}
    nullif(regexp_replace({{ expression }}, '[^0-9]', ''), '')
{%- endmacro %}

{% macro redshift__digits_only(expression) -%}
    nullif(regexp_replace({{ expression }}, '[^0-9]', ''), '')
{%- endmacro %}
