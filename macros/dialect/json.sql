{# A text, number or boolean under a key of a JSON object, as text; NULL where the key is missing, null,
   an object or an array. Rows that do not name the key are not parsed.
   Fails without: DuckDB's json_extract_string gives an object as its text where Trino gives NULL, and
   Redshift answers the empty text for a missing key. #}
{% macro json_scalar(column, key) -%}
    {{ return(adapter.dispatch('json_scalar', 'synapse')(column, key)) }}
{%- endmacro %}

{% macro default__json_scalar(column, key) -%}
    case
        when {{ column }} like '%"{{ key }}"%'
            and json_type({{ column }}, '$.{{ key }}') not in ('OBJECT', 'ARRAY')
            then json_extract_string({{ column }}, '$.{{ key }}')
    end
{%- endmacro %}

{% macro athena__json_scalar(column, key) -%}
    case
        when {{ column }} like '%"{{ key }}"%'
            then json_extract_scalar({{ column }}, '$.{{ key }}')
    end
{%- endmacro %}

{% macro redshift__json_scalar(column, key) -%}
    case
        when {{ column }} like '%"{{ key }}"%'
            and left(json_extract_path_text({{ column }}, '{{ key }}', true), 1) not in ('{', '[')
            then nullif(json_extract_path_text({{ column }}, '{{ key }}', true), '')
    end
{%- endmacro %}
