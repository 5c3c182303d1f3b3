{# SHA-256 of a text as 64 lower-case hexadecimal digits.
   Fails without: Trino hashes bytes, not text, and answers bytes; Redshift takes (text, bits). #}
{% macro sha256_hex(expression) -%}
    {{ return(adapter.dispatch('sha256_hex', 'synapse')(expression)) }}
{%- endmacro %}

{% macro default__sha256_hex(expression) -%}
    sha256({{ expression }})
{%- endmacro %}

{% macro athena__sha256_hex(expression) -%}
    lower(to_hex(sha256(to_utf8({{ expression }}))))
{%- endmacro %}

{% macro redshift__sha256_hex(expression) -%}
    sha2({{ expression }}, 256)
{%- endmacro %}


{# One text for one value of a declared type, the same on every engine; NULL stays NULL.
   Fails without: cast(timestamp as varchar) drops trailing zeros of the fraction on DuckDB and keeps
   six digits on Trino; a double prints as 1.0 on one and 1.0E0 on the other. Hashes of the same row
   would then differ between engines. #}
{% macro canonical_text(column, data_type) -%}
    {%- if data_type == 'timestamp' -%}
        {{ return(adapter.dispatch('timestamp_text', 'synapse')(column)) }}
    {%- elif data_type == 'double' -%}
        {%- do return('cast(cast(' ~ column ~ ' as decimal(38, 10)) as varchar)') -%}
    {%- elif data_type == 'varchar' -%}
        {%- do return(column) -%}
    {%- else -%}
        {%- do return('cast(' ~ column ~ ' as varchar)') -%}
    {%- endif -%}
{%- endmacro %}

{% macro default__timestamp_text(column) -%}
    strftime({{ column }}, '%Y-%m-%d %H:%M:%S.%f')
{%- endmacro %}

{% macro athena__timestamp_text(column) -%}
    cast(cast({{ column }} as timestamp(6)) as varchar)
{%- endmacro %}

{% macro redshift__timestamp_text(column) -%}
    to_char({{ column }}, 'YYYY-MM-DD HH24:MI:SS.US')
{%- endmacro %}
