{# R6, conditions on period N of a cohort, read where a row `calendar` has last_complete_date: the
   period has begun by that date, and is in the report. #}
{% macro period_has_begun(grain, cohort_start, period_number) -%}
    {{ period_number }} <= {{ periods_between(
        grain,
        cohort_start,
        "cast(date_trunc('" ~ grain ~ "', calendar.last_complete_date) as date)"
    ) }}
{%- endmacro %}


{# And it has ended by that date: what it says will not change. #}
{% macro period_is_mature(grain, cohort_start, period_number) -%}
    {{ date_add_days(date_add_periods(grain, cohort_start, period_number ~ ' + 1'), -1) }}
    <= calendar.last_complete_date
{%- endmacro %}
