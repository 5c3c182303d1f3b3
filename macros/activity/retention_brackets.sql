{# R6: the brackets of days after the cohort's date, first and last day included. #}
{% macro retention_brackets() -%}
    {%- do return([(1, 7), (8, 14), (15, 30), (31, 60), (61, 90)]) -%}
{%- endmacro %}


{# SQL: the first day of the bracket that a day number lies in, NULL outside all brackets. #}
{% macro retention_bracket_start(day_number) -%}
    case
        {%- for first_day, last_day in retention_brackets() %}
        when {{ day_number }} between {{ first_day }} and {{ last_day }} then {{ first_day }}
        {%- endfor %}
    end
{%- endmacro %}
