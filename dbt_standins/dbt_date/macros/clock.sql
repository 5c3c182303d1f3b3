{#- The moment of the query in a time zone, as a timestamp without zone. -#}
{% macro now(tz=none) -%}
    {{ dbt_date.convert_timezone(dbt.current_timestamp(), tz) }}
{%- endmacro %}


{#- The calendar date of that moment. -#}
{% macro today(tz=none) -%}
    cast({{ dbt_date.now(tz) }} as date)
{%- endmacro %}


{#-
    Wall-clock time in `target_tz` (default: the var dbt_date:time_zone) of a timestamp.
    Without `source_tz` the column must carry its zone; with one it is read as wall time there.
-#}
{% macro convert_timezone(column, target_tz=none, source_tz=none) -%}
    {%- set zone = target_tz if target_tz else var("dbt_date:time_zone") -%}
    {{ adapter.dispatch("convert_timezone", "dbt_date")(column, zone, source_tz) }}
{%- endmacro %}


{% macro default__convert_timezone(column, target_tz, source_tz) -%}
    {%- if source_tz -%}
    cast(cast({{ column }} as timestamp) at time zone '{{ source_tz }}' at time zone '{{ target_tz }}' as timestamp)
    {%- else -%}
    cast(cast({{ column }} as timestamp with time zone) at time zone '{{ target_tz }}' as timestamp)
    {%- endif -%}
{%- endmacro %}


{#- Redshift has no two-step AT TIME ZONE on its plain timestamps; its own function does both. -#}
{% macro redshift__convert_timezone(column, target_tz, source_tz) -%}
    convert_timezone('{{ source_tz or "UTC" }}', '{{ target_tz }}', cast({{ column }} as timestamp))
{%- endmacro %}
