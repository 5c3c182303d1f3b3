{# Grain: one row per published figure and run that found it changed.
   Keys: restatement_id; figure_id, run_id.
   Incremental: none, a view of what was published and when.
   Rules: R17 (a published figure that changed: old, new, cause). #}
{{ config(materialized='view') }}

with publications as (

    select
        publication_id,
        figure_id,
        report,
        dimension,
        column_name,
        cause,
        run_id,
        publication_number,
        figure_value,
        has_late_data,
        has_source_correction,
        period_start,
        published_at,
        lag(figure_value) over (
            partition by figure_id order by publication_number
        ) as previous_value,
        lag(run_id) over (partition by figure_id order by publication_number) as previous_run_id,
        lag(published_at) over (
            partition by figure_id order by publication_number
        ) as previously_published_at
    from {{ ref('ops_published_figures') }}

)

select
    publications.publication_id as restatement_id,
    publications.figure_id,
    publications.report,
    publications.dimension,
    publications.column_name,
    publications.cause,
    publications.run_id,
    publications.previous_run_id,
    publications.previous_value as old_value,
    publications.figure_value as new_value,
    publications.has_late_data,
    publications.has_source_correction,
    publications.period_start,
    publications.previously_published_at,
    publications.published_at as restated_at
from publications
where publications.publication_number > 1
