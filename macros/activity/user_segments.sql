{# R13: how many days after sign-up a person is new. #}
{% macro new_user_days() -%}
    {%- do return(7) -%}
{%- endmacro %}


{# R13: the segments by activity, the first match wins: name, and the least number of active days of
   28. Before them all comes `new`. #}
{% macro activity_segments() -%}
    {%- do return([('power', 15), ('regular', 4), ('casual', 1), ('dormant', 0)]) -%}
{%- endmacro %}


{# R13: the names of all segments, in the order in which they match. #}
{% macro segment_names() -%}
    {%- do return(['new'] + activity_segments() | map(attribute=0) | list) -%}
{%- endmacro %}
