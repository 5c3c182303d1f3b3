{# SQL: an HTTP status as a number; NULL where the text is not one to nine digits. No regular expression
   and no try_cast: engines disagree on what both take. #}
{% macro http_status(text) -%}
    case
        when length({{ text }}) between 1 and 9 and translate({{ text }}, '0123456789', '') = ''
            then cast({{ text }} as integer)
    end
{%- endmacro %}
