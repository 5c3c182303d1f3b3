{# CTEs, the last of them `ranked`: every change of the keys in scope in the one order that all
   engines and all splittings agree on, `_rank` ascending. Rows: base changes; departures (the old
   key of an update that changed its key is deleted by it); truncations (each key is deleted by a
   truncate of its table, which names none); absences (a key that an epoch's load does not name no
   longer exists from its instant on).
   Order: epoch; absence, load, change; sequence where declared, else commit time. Still tied, content
   decides: with an insert among the tied D < I < U, else U < D; then updated_at; then the hash. #}
{% macro cdc_ranked(table, base, base_name, model_name, scope) -%}
{%- set epochs = cdc_epochs(table) -%}
{%- set truncate_files = cdc_truncate_files(table) -%}
{%- set has_updated_at = 'updated_at' in cdc_column_names(table) -%}
{%- if scope == 'some' -%}
affected_changes as (

    select changes.*
    from {{ base }} as changes
    where changes._source_file in (
        select pending.path from {{ files_pending(base_name, model_name) }} as pending
    )

),

affected as (

    select {{ cdc_keys(table, 'affected_changes') }}
    from affected_changes
    union distinct
    select
        {%- for key in table.key %}
        {{ cdc_key_before('affected_changes', key) }} as {{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
    from affected_changes

),

{% endif -%}
changes as (

    select
        {{ cdc_keys(table, 'base_changes') }},
        {%- for key in table.key %}
        {{ cdc_key_before('base_changes', key) }} as _before_{{ key }},
        {%- endfor %}
        base_changes._change_id,
        base_changes._op,
        base_changes._epoch as _load_epoch,
        base_changes._change_seq,
        base_changes._committed_at,
        base_changes._row_hash,
        {{ 'base_changes.updated_at' if has_updated_at else 'cast(null as timestamp)' }}
            as _updated_at,
        base_changes._source_file,
        base_changes._ingested_at
    from {{ base }} as base_changes
    {%- if truncate_files | length > 0 %}
    where base_changes._op <> 'T'
    {%- endif %}

),

events as (

    select
        {{ cdc_keys(table, 'changes') }},
        changes._change_id,
        changes._op,
        -- To the key it moves to, an update of a key is an arrival.
        case when {{ cdc_key_moved(table, 'changes') }} then 'I' else changes._op end as _tie_op,
        changes._load_epoch,
        changes._change_seq,
        changes._committed_at,
        changes._row_hash,
        changes._updated_at,
        changes._source_file,
        changes._ingested_at,
        false as _is_departure
    from changes
    {%- if scope == 'some' %}
    inner join affected
        on {{ cdc_key_match(table, 'changes', 'affected') }}
    {%- endif %}
    union all
    select
        {%- for key in table.key %}
        changes._before_{{ key }} as {{ key }},
        {%- endfor %}
        changes._change_id,
        'D' as _op,
        'D' as _tie_op,
        changes._load_epoch,
        changes._change_seq,
        changes._committed_at,
        changes._row_hash,
        changes._updated_at,
        changes._source_file,
        changes._ingested_at,
        true as _is_departure
    from changes
    {%- if scope == 'some' %}
    inner join affected
        on
            {%- for key in table.key %}
            {{ 'and ' if not loop.first }}changes._before_{{ key }} = affected.{{ key }}
            {%- endfor %}
    {%- endif %}
    where {{ cdc_key_moved(table, 'changes') }}

),

{% if truncate_files | length > 0 -%}
{{ cdc_truncate_ctes(table, base, truncate_files) }}

{% endif -%}
placed as (

    select
        events.*,
        case
            when events._load_epoch is not null then events._load_epoch
            else {{ cdc_epoch_of(epochs, 'events._committed_at') | indent(12) }}
        end as _epoch,
        case when events._load_epoch is not null then 1 else 2 end as _stage,
        case
            when events._load_epoch is not null
                then {{ cdc_instant_of(epochs, 'events._load_epoch') | indent(16) }}
            else events._committed_at
        end as _happened_at,
        {%- if table.sequence %}
        -- Sequences are numbers in text; padded, text order is number order. A row without one is
        -- older than all that have one, and ordered by its commit time.
        coalesce(lpad(events._change_seq, 40, '0'), '') as _order_seq,
        case when events._change_seq is null then events._committed_at end as _order_at
        {%- else %}
        '' as _order_seq,
        events._committed_at as _order_at
        {%- endif %}
    {%- if truncate_files | length > 0 %}
    from (
        select events.*
        from events
        union all
        select emptied.*
        from emptied
    ) as events
    {%- else %}
    from events
    {%- endif %}

),

{% set reloads = epochs | rejectattr('instant', 'none') | list -%}
{%- if reloads | length > 0 -%}
absences as (
    {% for reload in reloads %}
    select
        {{ cdc_keys(table, 'earlier') }},
        {{ reload.epoch }} as _epoch,
        timestamp '{{ reload.instant }}' as _happened_at,
        max(earlier._source_file) as _source_file,
        max(earlier._ingested_at) as _ingested_at
    from placed as earlier
    where earlier._epoch < {{ reload.epoch }}
        and not exists (
            select 1
            from placed as loaded
            where loaded._load_epoch = {{ reload.epoch }}
                and {{ cdc_key_match(table, 'loaded', 'earlier') }}
        )
    group by {{ cdc_keys(table, 'earlier') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

{% endif -%}
ordered as (

    select
        {{ cdc_keys(table, 'placed') }},
        placed._change_id,
        placed._op,
        placed._tie_op,
        placed._change_seq,
        placed._committed_at,
        placed._row_hash,
        placed._updated_at,
        placed._source_file,
        placed._ingested_at,
        placed._is_departure,
        placed._epoch,
        placed._stage,
        placed._happened_at,
        placed._order_seq,
        placed._order_at,
        max(case when placed._tie_op = 'I' then 1 else 0 end) over (
            partition by
                {{ cdc_keys(table, 'placed') }},
                placed._epoch,
                placed._stage,
                placed._order_seq,
                placed._order_at
        ) as _tied_with_insert
    from placed
    {%- if reloads | length > 0 %}
    union all
    select
        {{ cdc_keys(table, 'absences') }},
        cast(null as varchar) as _change_id,
        'D' as _op,
        'D' as _tie_op,
        cast(null as varchar) as _change_seq,
        absences._happened_at as _committed_at,
        cast(null as varchar) as _row_hash,
        cast(null as timestamp) as _updated_at,
        absences._source_file,
        absences._ingested_at,
        true as _is_departure,
        absences._epoch,
        0 as _stage,
        absences._happened_at,
        '' as _order_seq,
        absences._happened_at as _order_at,
        0 as _tied_with_insert
    from absences
    {%- endif %}

),

ranked as (

    select
        ordered.*,
        row_number() over (
            partition by {{ cdc_keys(table, 'ordered') }}
            order by
                ordered._epoch,
                ordered._stage,
                ordered._order_seq,
                ordered._order_at nulls first,
                case
                    when ordered._tie_op = 'I' then 1
                    when ordered._tied_with_insert = 1
                        then case when ordered._tie_op = 'D' then 0 else 2 end
                    when ordered._tie_op = 'D' then 3
                    else 2
                end,
                ordered._updated_at nulls first,
                ordered._row_hash,
                ordered._change_id
        ) as _rank
    from ordered

)
{%- endmacro %}


{# SQL: the key before the change, which is the key itself where no before image landed. #}
{% macro cdc_key_before(qualifier, key) -%}
    coalesce({{ qualifier }}._bi_{{ key }}, {{ qualifier }}.{{ key }})
{%- endmacro %}


{# SQL: the change moved its row to another key. #}
{% macro cdc_key_moved(table, qualifier) -%}
    {{ qualifier }}._op = 'U' and (
        {%- for key in table.key -%}
        {{ qualifier }}._before_{{ key }} <> {{ qualifier }}.{{ key }}{{ ' or ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
