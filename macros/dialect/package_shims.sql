{# What dbt_expectations and dbt_date ask of an engine, as Athena spells it. dbt_project.yml sends their
   dispatch here first. Nothing in the packages has a variant for Athena, and those for Trino are not
   reached from there. #}

{# 1 where the pattern is found, 0 where it is not, NULL for NULL.
   Fails without: regexp_instr() is no function of Trino. Callers only compare with 0. #}
{% macro athena__regexp_instr(source_value, regexp, position, occurrence, is_raw, flags) -%}
    {%- set pattern = '(?' ~ flags ~ ')' ~ regexp if flags else regexp -%}
    cast(regexp_like({{ source_value }}, {{ sql_text(pattern) }}) as integer)
{%- endmacro %}


{# Fails without: percentile_cont() is no function of Trino. #}
{% macro athena__quantile(field, quantile, partition) -%}
    approx_percentile({{ field }}, {{ quantile }})
    {%- if partition %} over (partition by {{ partition }}) {%- endif -%}
{%- endmacro %}


{# Fails without: `datetime` is no type of Trino. #}
{% macro athena__type_datetime() -%}
    timestamp
{%- endmacro %}


{# Fails without: convert_timezone() is no function of Trino. #}
{% macro athena__convert_timezone(column, target_tz, source_tz) -%}
    cast(at_timezone(with_timezone({{ column }}, '{{ source_tz or 'UTC' }}'), '{{ target_tz }}') as timestamp)
{%- endmacro %}
