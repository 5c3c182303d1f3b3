{# R14: every member of a cohort and every attempt has one value of each dimension, so the values of
   a dimension add up to rpt_retention and rpt_conversion_funnel.
   Fails when: somebody is described twice or not at all, or a period lacks a row.
   Who fixes it: growth. #}
with retention_by_dimension as (

    select
        dimension_name,
        cohort_basis,
        cohort_grain,
        period_number,
        sum(cohort_size) as cohort_size,
        sum(retained_users) as retained_users,
        cohort_start
    from {{ ref('rpt_retention_by_dimension') }}
    group by
        dimension_name,
        cohort_basis,
        cohort_grain,
        period_number,
        cohort_start

),

retention as (

    select
        cohort_basis,
        cohort_grain,
        period_number,
        cohort_size,
        retained_users,
        cohort_start
    from {{ ref('rpt_retention') }}
    where retention_mode = 'on'
        and (cohort_grain <> 'day' or period_number in (1, 7, 30))

),

funnel_by_dimension as (

    select
        funnel_name,
        dimension_name,
        step_number,
        sum(entered_count) as entered_count,
        sum(reached_count) as reached_count,
        entry_date
    from {{ ref('rpt_conversion_funnel_by_dimension') }}
    group by
        funnel_name,
        dimension_name,
        step_number,
        entry_date

),

-- A funnel that nobody entered yet has no values to be split by.
funnel as (

    select
        funnel_name,
        step_number,
        entered_count,
        reached_count,
        sum(entered_count) over (partition by funnel_name) as ever_entered_count,
        entry_date
    from {{ ref('rpt_conversion_funnel') }}

),

dimension_names as (
    {% for name in dimensions() %}
    select '{{ name }}' as dimension_name
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

checked as (

    select
        'rpt_retention_by_dimension' as model_name,
        dimension_names.dimension_name,
        concat(
            retention.cohort_basis, ' ', retention.cohort_grain, ' ',
            cast(retention.period_number as varchar)
        ) as part,
        retention.cohort_start as part_date,
        retention.cohort_size as whole_count,
        coalesce(retention_by_dimension.cohort_size, 0) as added_whole_count,
        retention.retained_users as part_count,
        coalesce(retention_by_dimension.retained_users, 0) as added_part_count
    from retention
    cross join dimension_names
    left join retention_by_dimension
        on dimension_names.dimension_name = retention_by_dimension.dimension_name
            and retention.cohort_basis = retention_by_dimension.cohort_basis
            and retention.cohort_grain = retention_by_dimension.cohort_grain
            and retention.cohort_start = retention_by_dimension.cohort_start
            and retention.period_number = retention_by_dimension.period_number

    union all

    select
        'rpt_conversion_funnel_by_dimension' as model_name,
        dimension_names.dimension_name,
        concat(funnel.funnel_name, ' ', cast(funnel.step_number as varchar)) as part,
        funnel.entry_date as part_date,
        funnel.entered_count as whole_count,
        coalesce(funnel_by_dimension.entered_count, 0) as added_whole_count,
        funnel.reached_count as part_count,
        coalesce(funnel_by_dimension.reached_count, 0) as added_part_count
    from funnel
    cross join dimension_names
    left join funnel_by_dimension
        on dimension_names.dimension_name = funnel_by_dimension.dimension_name
            and funnel.funnel_name = funnel_by_dimension.funnel_name
            and funnel.step_number = funnel_by_dimension.step_number
            and funnel.entry_date = funnel_by_dimension.entry_date
    where funnel.ever_entered_count > 0

)

select
    model_name,
    dimension_name,
    part,
    part_date,
    whole_count,
    added_whole_count,
    part_count,
    added_part_count
from checked
where whole_count <> added_whole_count
    or part_count <> added_part_count
