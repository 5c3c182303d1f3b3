{# SQL, an aggregate: the percentile by nearest rank, the value in place ceil(p × n) of n values in order,
   so always one that occurred; whole numbers only, so that engines agree. `running_count` is the place
   of the row's value, `total_count` is n. Rows may be single values, or distinct ones with counts: then
   the running sum is the place and there are no ties to break. NULL when there is no value. #}
{% macro nearest_rank(value, percent, running_count='running_count', total_count='total_count') -%}
    min(case when {{ running_count }} * 100 >= {{ total_count }} * {{ percent }} then {{ value }} end)
{%- endmacro %}
