{# Grain: one row per headline figure and value that it was published with, in order.
   Keys: publication_id; figure_id, publication_number.
   Incremental: append; final figures that are new, or not what was published last. Never rebuilt:
   what was said once cannot be computed again.
   Rules: R17 (what is published, and what explains that it changes). #}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    unique_key='publication_id',
    full_refresh=false,
    on_schema_change='append_new_columns',
    post_hook="{{ mark_pending_seen([
        'base_kconnect__app_events',
        'base_kconnect__conversation_messages',
        'base_dms__messages',
        'base_dms__payments',
        'base_dms__subscriptions',
        'base_dms__users',
    ], this.identifier) }}",
) }}
{#- The tables whose rows are facts of the watched reports, the instant of the fact, and what
    corrects it. A subscription or a person that moves on corrects nothing; one that goes does. -#}
{%- set fact_tables = [
    {
        'name': 'messages',
        'key': 'message_id',
        'at': 'sent_at',
        'corrects': "'U', 'D'",
        'base': ref('base_dms__messages'),
        'current': ref('stg_dms__messages'),
    },
    {
        'name': 'payments',
        'key': 'payment_id',
        'at': 'paid_at',
        'corrects': "'U', 'D'",
        'base': ref('base_dms__payments'),
        'current': ref('stg_dms__payments'),
    },
    {
        'name': 'subscriptions',
        'key': 'subscription_id',
        'at': 'started_at',
        'corrects': "'D'",
        'base': ref('base_dms__subscriptions'),
        'current': ref('stg_dms__subscriptions'),
    },
    {
        'name': 'users',
        'key': 'user_id',
        'at': 'created_at',
        'corrects': "'D'",
        'base': ref('base_dms__users'),
        'current': ref('stg_dms__users'),
    },
] -%}
{%- set event_deliveries = ref('base_kconnect__app_events') -%}
{%- set document_deliveries = ref('base_kconnect__conversation_messages') %}

with figures as (

    select
        figure_id,
        report,
        dimension,
        column_name,
        figure_value,
        is_final,
        period_start
    from {{ ref('ops_headline_figures') }}

),

runs as (

    select
        run_context.run_id,
        run_context.as_of
    from {{ ops_relation('run_context') }} as run_context

),
{%- if is_incremental() %}

calendar as (

    select {{ last_complete_date() }} as last_complete_date

),

publications as (

    select
        figure_id,
        report,
        dimension,
        column_name,
        definition,
        publication_number,
        figure_value,
        period_start,
        published_at,
        row_number() over (
            partition by figure_id order by publication_number desc
        ) as place,
        row_number() over (order by published_at desc, publication_id) as place_of_all
    from {{ this }}

),

published as (

    select
        figure_id,
        report,
        dimension,
        column_name,
        publication_number,
        figure_value,
        period_start,
        published_at
    from publications
    where place = 1

),

-- Every date has new figures, so the newest publication has the definitions of the run before.
definitions as (

    select definition <> {{ project_definition() }} as has_definition_change
    from publications
    where place_of_all = 1

),

-- A final figure that is no longer in the report was taken back: it is published as NULL. One of a
-- date after the last complete one is only out of sight, in a run of an earlier as-of.
changed as (

    select
        coalesce(figures.figure_id, published.figure_id) as figure_id,
        coalesce(figures.report, published.report) as report,
        coalesce(figures.dimension, published.dimension) as dimension,
        coalesce(figures.column_name, published.column_name) as column_name,
        coalesce(published.publication_number, 0) + 1 as publication_number,
        figures.figure_value,
        coalesce(figures.period_start, published.period_start) as period_start,
        published.published_at as previous_at,
        runs.run_id,
        runs.as_of
    from figures
    full outer join published
        on figures.figure_id = published.figure_id
    cross join runs
    cross join calendar
    where coalesce(figures.is_final, true)
        and coalesce(figures.period_start, published.period_start)
        <= calendar.last_complete_date
        and (
            published.figure_id is null
            or figures.figure_value <> published.figure_value
            or (figures.figure_value is null) <> (published.figure_value is null)
        )

),

landed_events as (

    {{ landed_after('base_kconnect__app_events', this.identifier) }}

),

landed_documents as (

    {{ landed_after('base_kconnect__conversation_messages', this.identifier) }}

),
{%- for entry in fact_tables %}

landed_{{ entry.name }} as (

    {{ landed_after('base_dms__' ~ entry.name, this.identifier) }}

),
{%- endfor %}

-- What landed since the last run that published, by the date of the fact; NULL is any date.
facts as (

    select
        'late data' as cause,
        {{ business_date('events.occurred_at') }} as fact_date
    from {{ event_deliveries }} as events
    inner join landed_events
        on events._ingested_at = landed_events.ingested_at

    union distinct

    select
        'visitor identified' as cause,
        cast(null as date) as fact_date
    from {{ event_deliveries }} as events
    inner join landed_events
        on events._ingested_at = landed_events.ingested_at
    where events.anonymous_id is not null
        and events.user_id is not null

    union distinct

    select
        'late data' as cause,
        {{ business_date('documents.sent_at') }} as fact_date
    from {{ document_deliveries }} as documents
    inner join landed_documents
        on documents._ingested_at = landed_documents.ingested_at
    {%- for entry in fact_tables %}

    union distinct

    -- A delete may carry the key alone; the current state keeps the last living values.
    select
        case
            when changes._op = 'I' and changes._epoch = 1 then 'late data'
            else 'source correction'
        end as cause,
        {{ business_date(
            'coalesce(changes.' ~ entry.at ~ ', living.' ~ entry.at ~ ')'
        ) }} as fact_date
    from {{ entry.base }} as changes
    inner join landed_{{ entry.name }}
        on changes._ingested_at = landed_{{ entry.name }}.ingested_at
    left join {{ entry.current }} as living
        on changes.{{ entry.key }} = living.{{ entry.key }}
    where changes._op in ('I', 'T', {{ entry.corrects }})
    {%- endfor %}

    union distinct

    select
        'source correction' as cause,
        cast(null as date) as fact_date
    from {{ fact_tables[3].base }} as changes
    inner join landed_users
        on changes._ingested_at = landed_users.ingested_at
    where changes.is_internal

),

-- A fact explains a change if it lies before the figure was published, and no further back than the
-- longest window of a watched figure reaches.
explained as (

    select
        changed.figure_id,
        coalesce(max(case when facts.cause = 'late data' then 1 else 0 end), 0) = 1
            as has_late_data,
        coalesce(max(case when facts.cause = 'source correction' then 1 else 0 end), 0) = 1
            as has_source_correction,
        coalesce(max(case when facts.cause = 'visitor identified' then 1 else 0 end), 0) = 1
            as has_visitor_identified
    from changed
    inner join facts
        on facts.fact_date is null
            or (
                facts.fact_date < {{ business_date('changed.previous_at') }}
                and facts.fact_date >= {{ date_add_days('changed.period_start', -60) }}
            )
    where changed.previous_at is not null
    group by changed.figure_id

),

final as (

    select
        {{ identity_hex(
            "concat(changed.figure_id, '|', cast(changed.publication_number as varchar))"
        ) }} as publication_id,
        changed.figure_id,
        changed.report,
        changed.dimension,
        changed.column_name,
        case
            when changed.previous_at is null then null
            when definitions.has_definition_change then 'definition change'
            when explained.has_late_data then 'late data'
            when explained.has_source_correction then 'source correction'
            when explained.has_visitor_identified then 'visitor identified'
            else 'unexplained'
        end as cause,
        {{ project_definition() }} as definition,
        changed.run_id,
        cast(changed.publication_number as bigint) as publication_number,
        changed.figure_value,
        coalesce(explained.has_late_data, false) as has_late_data,
        coalesce(explained.has_source_correction, false) as has_source_correction,
        changed.period_start,
        changed.as_of as published_at
    from changed
    cross join definitions
    left join explained
        on changed.figure_id = explained.figure_id

)
{%- else %}

final as (

    select
        {{ identity_hex("concat(figures.figure_id, '|1')") }} as publication_id,
        figures.figure_id,
        figures.report,
        figures.dimension,
        figures.column_name,
        cast(null as varchar) as cause,
        {{ project_definition() }} as definition,
        runs.run_id,
        cast(1 as bigint) as publication_number,
        figures.figure_value,
        false as has_late_data,
        false as has_source_correction,
        figures.period_start,
        runs.as_of as published_at
    from figures
    cross join runs
    where figures.is_final

)
{%- endif %}

select * from final
