{#- Wall-clock now in the project's dbt_date:time_zone. -#}
{% macro moment() -%}
    cast({{ dbt_date.now() }} as {{ dbt_expectations.type_timestamp() }})
{%- endmacro %}


{#- The newest row that is not in the future is no older than the interval; no row at all fails. -#}
{% test expect_row_values_to_have_recent_data(
    model, column_name, datepart, interval, row_condition=none
) %}
{%- set type = dbt_expectations.type_timestamp() %}
with
newest as (
    select max(cast({{ column_name }} as {{ type }})) as newest_at
    from {{ model }}
    where
        cast({{ column_name }} as {{ type }}) <= {{ dbt_expectations.moment() }}
        {%- if row_condition %}
        and ({{ row_condition }})
        {%- endif %}
)

select newest_at
from newest
where
    newest_at is null
    or newest_at < cast(
        {{ dbt.dateadd(datepart, interval * -1, dbt_expectations.moment()) }} as {{ type }}
    )
{% endtest %}


{#- The same for each group; a table without rows has no group to fail. -#}
{% test expect_grouped_row_values_to_have_recent_data(
    model, group_by, timestamp_column, datepart, interval, row_condition=none
) %}
{%- set type = dbt_expectations.type_timestamp() %}
{%- set keys = group_by | join(", ") %}
with
newest as (
    select
        {{ keys }},
        max(
            case
                when cast({{ timestamp_column }} as {{ type }}) <= {{ dbt_expectations.moment() }}
                    then cast({{ timestamp_column }} as {{ type }})
            end
        ) as newest_at
    from {{ model }}
    {{- dbt_expectations.where_clause(row_condition) }}
    group by {{ keys }}
)

select *
from newest
where
    newest_at is null
    or newest_at < cast(
        {{ dbt.dateadd(datepart, interval * -1, dbt_expectations.moment()) }} as {{ type }}
    )
{% endtest %}
