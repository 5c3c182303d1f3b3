{#- With group_by each group is counted; an empty table then has no group and passes. -#}
{% test expect_table_row_count_to_be_between(
    model, min_value=none, max_value=none, group_by=none, row_condition=none, strictly=false
) %}
{%- set condition = dbt_expectations.within_bounds("count(*)", min_value, max_value, strictly) -%}
{{ dbt_expectations.aggregates_failing(model, condition, group_by, row_condition) }}
{% endtest %}


{% test expect_table_row_count_to_equal(model, value, group_by=none, row_condition=none) %}
{{ dbt_expectations.aggregates_failing(
    model, "(count(*) = " ~ value ~ ")", group_by, row_condition
) }}
{% endtest %}


{#- Rows (per group) here = rows there × factor. -#}
{% test expect_table_row_count_to_equal_other_table(
    model,
    compare_model,
    group_by=none,
    compare_group_by=none,
    factor=none,
    row_condition=none,
    compare_row_condition=none
) %}
{{ dbt_expectations.aggregates_differing(
    model,
    compare_model,
    "count(*)",
    "count(*) * " ~ (1 if factor is none else factor),
    group_by,
    compare_group_by,
    row_condition,
    compare_row_condition
) }}
{% endtest %}


{#- An aggregate (per group) here = an aggregate there, within an absolute or relative tolerance. -#}
{% test expect_table_aggregation_to_equal_other_table(
    model,
    expression,
    compare_model,
    compare_expression=none,
    group_by=none,
    compare_group_by=none,
    row_condition=none,
    compare_row_condition=none,
    tolerance=0.0,
    tolerance_percent=none
) %}
{{ dbt_expectations.aggregates_differing(
    model,
    compare_model,
    expression,
    compare_expression or expression,
    group_by,
    compare_group_by,
    row_condition,
    compare_row_condition,
    tolerance,
    tolerance_percent
) }}
{% endtest %}


{#- A group that one side lacks counts as 0 there. -#}
{% macro aggregates_differing(
    model,
    compare_model,
    expression,
    compare_expression,
    group_by,
    compare_group_by,
    row_condition,
    compare_row_condition,
    tolerance=0,
    tolerance_percent=none
) %}
{%- set keys = group_by or [] -%}
{%- set compare_keys = compare_group_by or keys -%}
{%- if keys | length != compare_keys | length -%}
    {{ exceptions.raise_compiler_error("group_by and compare_group_by differ in length") }}
{%- endif %}
with
here as (
    select
        {%- for key in keys %}
        {{ key }} as key_{{ loop.index }},
        {%- endfor %}
        {{ expression }} as value
    from {{ model }}
    {{- dbt_expectations.where_clause(row_condition) }}
    {%- if keys %}
    group by {{ keys | join(", ") }}
    {%- endif %}
),

there as (
    select
        {%- for key in compare_keys %}
        {{ key }} as key_{{ loop.index }},
        {%- endfor %}
        {{ compare_expression }} as value
    from {{ compare_model }}
    {{- dbt_expectations.where_clause(compare_row_condition) }}
    {%- if keys %}
    group by {{ compare_keys | join(", ") }}
    {%- endif %}
),

compared as (
    select
        {%- for key in keys %}
        coalesce(here.key_{{ loop.index }}, there.key_{{ loop.index }}) as key_{{ loop.index }},
        {%- endfor %}
        coalesce(here.value, 0) as value,
        coalesce(there.value, 0) as compare_value
    from here
    {%- if keys %}
    full outer join there
        on
            {%- for key in keys %}
            {{ "and " if not loop.first }}here.key_{{ loop.index }} = there.key_{{ loop.index }}
            {%- endfor %}
    {%- else %}
    cross join there
    {%- endif %}
)

select *
from compared
where
    {%- if tolerance_percent is not none %}
    abs(value - compare_value) > {{ tolerance_percent }} * abs(compare_value)
    {%- else %}
    abs(value - compare_value) > {{ tolerance }}
    {%- endif %}
{% endmacro %}
