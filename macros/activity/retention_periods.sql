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


{# R5: the grains of cohorts. #}
{% macro cohort_grain_names() -%}
    {%- do return(['day', 'week', 'month']) -%}
{%- endmacro %}


{# A query of them, one a row. Few rows are crossed with it: what is selected once for each grain is
   read once for each on Trino. #}
{% macro cohort_grains() -%}
    values {% for grain in cohort_grain_names() %}('{{ grain }}'){{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}


{# SQL: the first date of the cohort of a date, at the grain that a column names. #}
{% macro cohort_start_of(grain, cohort_date) -%}
    case {{ grain }}
        {%- for name in cohort_grain_names() %}
        when '{{ name }}' then cast(date_trunc('{{ name }}', {{ cohort_date }}) as date)
        {%- endfor %}
    end
{%- endmacro %}
