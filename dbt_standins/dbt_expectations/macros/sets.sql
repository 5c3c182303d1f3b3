{#- Every value is in the set. NULL is in no set and fails: filter it with row_condition. -#}
{% test expect_column_values_to_be_in_set(
    model, column_name, value_set, quote_values=true, row_condition=none
) %}
with
present as (
    select {{ column_name }} as value_field
    from {{ model }}
    {{- dbt_expectations.where_clause(row_condition) }}
),

allowed as (
    {{- dbt_expectations.value_rows(value_set, quote_values) }}
)

select present.value_field
from present
left join allowed on present.value_field = allowed.value_field
where allowed.value_field is null
{% endtest %}


{#- No value is in the set. -#}
{% test expect_column_values_to_not_be_in_set(
    model, column_name, value_set, quote_values=true, row_condition=none
) %}
with
present as (
    select {{ column_name }} as value_field
    from {{ model }}
    {{- dbt_expectations.where_clause(row_condition) }}
),

forbidden as (
    {{- dbt_expectations.value_rows(value_set, quote_values) }}
)

select present.value_field
from present
inner join forbidden on present.value_field = forbidden.value_field
{% endtest %}
