{# Grain: one row per headline figure of a report: report, period, dimension and column.
   Keys: figure_id.
   Incremental: none, a view of the reports as they are now.
   Rules: R17 (which figures count as published, and when). #}
{{ config(materialized='view') }}
{#- Each report: where a period begins, when it is final, what sets its rows of a period apart, and
    the columns that people quote. A report whose figures are to be watched is added here. -#}
{%- set watched = [
    {
        'report': 'rpt_active_users_daily',
        'period': 'activity_date',
        'final': 'is_complete',
        'columns': [
            'active_users_1d', 'active_users_7d', 'active_users_28d', 'active_users_30d',
            'stickiness_rate', 'new_users',
        ],
    },
    {
        'report': 'rpt_retention_headline',
        'period': 'activity_date',
        'final': 'is_complete',
        'columns': ['retention_1d_rate', 'retention_7d_rate', 'retention_30d_rate'],
    },
    {
        'report': 'rpt_conversion_funnel',
        'period': 'entry_date',
        'final': 'is_mature',
        'dimension': "concat(funnel_name, ' ', cast(step_number as varchar))",
        'columns': ['reached_count', 'overall_conversion_rate'],
    },
    {
        'report': 'rpt_sessions_daily',
        'period': 'session_date',
        'final': 'is_complete',
        'columns': ['session_count', 'median_duration_seconds'],
    },
    {
        'report': 'rpt_response_time_daily',
        'period': 'response_date',
        'final': 'is_complete',
        'columns': ['response_count', 'p50_seconds', 'p95_seconds'],
    },
    {
        'report': 'rpt_error_rate_hourly',
        'period': 'hour_date',
        'final': 'is_complete',
        'dimension': canonical_text('hour_at', 'timestamp'),
        'columns': ['error_rate'],
    },
    {
        'report': 'rpt_llm_usage_daily',
        'period': 'usage_date',
        'final': 'is_complete',
        'dimension': 'model',
        'columns': ['token_count', 'cost_cents'],
    },
] -%}

with figures as (
    {% for entry in watched %}
    {%- set outer_loop = loop %}
    {%- for column in entry.columns %}
    {%- if not (outer_loop.first and loop.first) %}
    union all
    {% endif %}
    select
        '{{ entry.report }}' as report,
        {{ entry.dimension | default("'all'") }} as dimension,
        '{{ column }}' as column_name,
        cast({{ column }} as decimal(28, 10)) as figure_value,
        {{ entry.final }} as is_final,
        {{ entry.period }} as period_start
    from {{ ref(entry.report) }}
    {% endfor %}
    {%- endfor %}
)

select
    {{ identity_hex(
        "concat(figures.report, '|', figures.dimension, '|', figures.column_name, '|', "
        ~ "cast(figures.period_start as varchar))"
    ) }} as figure_id,
    figures.report,
    figures.dimension,
    figures.column_name,
    figures.figure_value,
    figures.is_final,
    figures.period_start
from figures
