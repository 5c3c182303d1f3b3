{#-
    No two ranges of a partition overlap. `gaps` says whether room between neighbours is allowed,
    not_allowed or required; a range must be longer than nothing unless zero_length_range_allowed.
-#}
{% test mutually_exclusive_ranges(
    model,
    lower_bound_column,
    upper_bound_column,
    partition_by=none,
    gaps="allowed",
    zero_length_range_allowed=false
) %}
{%- set between_neighbours = {"allowed": "<=", "not_allowed": "=", "required": "<"} -%}
{%- if gaps not in between_neighbours -%}
    {{ exceptions.raise_compiler_error(
        "mutually_exclusive_ranges: gaps must be allowed, not_allowed or required, not " ~ gaps
    ) }}
{%- endif %}
{%- set partition = "partition by partition_by_col" if partition_by else "" %}
with
bounds as (
    select
        {%- if partition_by %}
        {{ partition_by }} as partition_by_col,
        {%- endif %}
        {{ lower_bound_column }} as lower_bound,
        {{ upper_bound_column }} as upper_bound
    from {{ model }}
),

neighbours as (
    select
        *,
        lead(lower_bound) over ({{ partition }} order by lower_bound, upper_bound) as next_lower_bound,
        row_number() over ({{ partition }} order by lower_bound, upper_bound) as range_number,
        count(*) over ({{ partition }}) as range_count
    from bounds
)

select *
from neighbours
where
    -- A bound that is NULL proves nothing, so it fails.
    not coalesce(lower_bound {{ "<=" if zero_length_range_allowed else "<" }} upper_bound, false)
    or not (
        range_number = range_count
        or coalesce(upper_bound {{ between_neighbours[gaps] }} next_lower_bound, false)
    )
{% endtest %}
