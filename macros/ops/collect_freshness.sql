{# dbt's hook for source freshness. A source here is a set of accepted files, not a table, so the
   question is answered from ops.files_accepted (`loaded_at_field` and `filter` are its columns), and
   "now" is as-of. A source that never landed is not late: it gates nothing. #}
{% macro collect_freshness(source, loaded_at_field, filter) %}
    {% call statement('collect_freshness', fetch_result=True, auto_begin=False) -%}
        select
            coalesce(max({{ loaded_at_field }}), {{ as_of() }}) as max_loaded_at,
            {{ as_of() }} as snapshotted_at
        from {{ ops_relation('files_accepted') }}
        {%- if filter %}
        where {{ filter }}
        {%- endif %}
    {%- endcall %}
    {{ return(load_result('collect_freshness')) }}
{% endmacro %}
