{# SQL, an aggregate: the percentile by nearest rank of rows that are distinct values in order, of which
   `running_count` values are at most this one and `total_count` there are altogether. It is the value
   in place ceil(p × n), so always one that occurred; whole numbers only, so that engines agree, and no
   order among ties to break. NULL when there is no value. #}
{% macro nearest_rank(value, percent, running_count='running_count', total_count='total_count') -%}
    min(case when {{ running_count }} * 100 >= {{ total_count }} * {{ percent }} then {{ value }} end)
{%- endmacro %}
