{#- Position of the first match, 0 for none, NULL for NULL; some engines only tell 1 from 0. -#}
{% macro regexp_instr(source_value, regexp, position=1, occurrence=1, is_raw=false, flags="") -%}
    {{ adapter.dispatch("regexp_instr", "dbt_expectations")(
        source_value, regexp, position, occurrence, is_raw, flags
    ) }}
{%- endmacro %}


{% macro default__regexp_instr(source_value, regexp, position, occurrence, is_raw, flags) -%}
    {%- if is_raw or flags -%}
        {{ exceptions.raise_compiler_error("is_raw and flags are not supported on " ~ target.type) }}
    {%- endif -%}
    regexp_instr({{ source_value }}, '{{ regexp }}', {{ position }}, {{ occurrence }})
{%- endmacro %}


{#- DuckDB has no regexp_instr. -#}
{% macro duckdb__regexp_instr(source_value, regexp, position, occurrence, is_raw, flags) -%}
    cast(regexp_matches({{ source_value }}, '{{ regexp }}', '{{ flags }}') as integer)
{%- endmacro %}


{% macro type_timestamp() -%}
    {{ return(adapter.dispatch("type_timestamp", "dbt_expectations")()) }}
{%- endmacro %}


{% macro default__type_timestamp() -%}
    {{ return(dbt.type_timestamp()) }}
{%- endmacro %}


{% macro type_datetime() -%}
    {{ return(adapter.dispatch("type_datetime", "dbt_expectations")()) }}
{%- endmacro %}


{% macro default__type_datetime() -%}
    {{ return("timestamp") }}
{%- endmacro %}
