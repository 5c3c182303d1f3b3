{# As-of: what "now" is for completeness, maturity, freshness and retention (UTC, without zone). It
   comes from ops.run_context, so that a run can be repeated: no model reads the clock or a var. #}
{% macro as_of() -%}
    (select run_context.as_of from {{ ops_relation('run_context') }} as run_context)
{%- endmacro %}


{# R1: the last business date that had ended by as-of. #}
{% macro last_complete_date() -%}
    (
        select {{ date_add_days(business_date('run_context.as_of'), -1) }}
        from {{ ops_relation('run_context') }} as run_context
    )
{%- endmacro %}


{# True in a backfill: a past as-of is replayed, so no snapshot may be taken. #}
{% macro run_is_backfill() -%}
    {%- if not ops_table_exists('run_context') -%}{%- do return(false) -%}{%- endif -%}
    {%- set result = run_query('select is_backfill from ' ~ ops_relation('run_context')) -%}
    {%- do return(result.rows | length > 0 and result.rows[0][0]) -%}
{%- endmacro %}


{# dbt's hook for the time of a snapshot: as-of, so that a repeated run writes the same snapshot. #}
{% macro snapshot_get_time() -%}
    {{ as_of() }}
{%- endmacro %}
