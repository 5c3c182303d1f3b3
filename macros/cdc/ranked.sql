{# CTEs, the last of them `ranked`: the changes of the keys in scope in the one order that all engines
   and all splittings agree on, `_rank` ascending. Rows: base changes; departures (the old key of an
   update that changed its key is deleted by it); truncations (each key is deleted by a truncate of its
   table, which names none); absences (a key that an epoch's load does not name no longer exists from
   its instant on).
   Order: epoch; absence, load, change; sequence where declared, else commit time. Still tied, content
   decides: with an insert among the tied D < I < U, else U < D; then updated_at; then the hash.

   Keys in scope are in `chosen`. Where few keys are affected ('some') these are they, and `changes`
   holds their rows, but only what orders them: the pending files' rows are found by their time of
   ingest, then one pass over the key column (and one over the before images, nearly all NULL) leads to
   the rows of those keys, and nothing else is read. Values are read of the changes that are left, for
   the current state nearly always of rows that have just landed. In a rebuild ('all') they are the keys with more than one
   event; a key with one needs no order, and cdc_lone gives its row as it stands. No values are carried
   through the sorts of a rebuild: they are looked up for the rows that are left. #}
{% macro cdc_ranked(table, base, base_name, model_name, scope) -%}
{%- set epochs = cdc_epochs(table) -%}
{%- set reloads = epochs | rejectattr('instant', 'none') | list -%}
{%- set truncate_files = cdc_truncate_files(table) -%}
{%- if scope == 'some' -%}
{%- set range = pending_range(base_name, model_name) -%}
affected as (

    select
        {%- for key in table.key %}
        landed.{{ key }},
        {%- endfor %}
        {%- for key in table.key %}
        coalesce(landed._bi_{{ key }}, landed.{{ key }}) as _before_{{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ base }} as landed
    where landed._ingested_at between timestamp '{{ range.from }}' and timestamp '{{ range.to }}'
        and landed._source_file in (
            select pending.path from {{ files_pending(base_name, model_name) }} as pending
        )

),

chosen as (

    select {{ cdc_keys(table, 'affected') }}
    from affected
    union distinct
    select
        {%- for key in table.key %}
        affected._before_{{ key }} as {{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
    from affected

),

changes as (

    {{ rows_of_keys(base, table.key, 'chosen', cdc_order_columns(table)) | indent }}

),
{%- else -%}
chosen as (

    select {{ cdc_keys(table, 'logged') }}
    from {{ base }} as logged
    {%- if truncate_files | length > 0 %}
    -- A truncate is an event of every key.
    where logged._op <> 'T'
    group by {{ cdc_keys(table, 'logged') }}
    {%- else %}
    group by {{ cdc_keys(table, 'logged') }}
    having count(*) > 1
        {%- if reloads %}
        -- What is older than a reload may be absent from it.
        or min({{ cdc_placed_epoch(epochs, 'logged._epoch', 'logged._committed_at') | indent(8) }})
        < {{ reloads[-1].epoch }}
        {%- endif %}
    {%- endif %}
    union all
    select
        {%- for key in table.key %}
        coalesce(moved._bi_{{ key }}, moved.{{ key }}) as {{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ base }} as moved
    where {{ cdc_key_moved(table, 'moved') }}

),
{%- endif %}

{% if truncate_files | length > 0 -%}
{{ cdc_truncate_ctes(table, base, truncate_files) }}

{% endif -%}
placed as (

    {{ cdc_placed(table, base, epochs, scope) | indent }}

),

ordered as (

    select
        placed.*,
        max(case when placed._tie_op = 'I' then 1 else 0 end) over (
            partition by {{ cdc_keys(table, 'placed') }}
            order by
                placed._epoch,
                placed._stage,
                placed._order_seq,
                placed._order_at
            range between current row and current row
        ) as _tied_with_insert
    from placed
    {%- for reload in reloads %}
    union all
    select
        {{ cdc_keys(table, 'earlier') }},
        cast(null as varchar) as _change_id,
        'D' as _op,
        'D' as _tie_op,
        cast(null as bigint) as _load_epoch,
        cast(null as varchar) as _change_seq,
        timestamp '{{ reload.instant }}' as _committed_at,
        cast(null as varchar) as _row_hash,
        cast(null as timestamp) as _updated_at,
        max(earlier._source_file) as _source_file,
        max(earlier._ingested_at) as _ingested_at,
        true as _is_departure,
        {{ reload.epoch }} as _epoch,
        0 as _stage,
        timestamp '{{ reload.instant }}' as _happened_at,
        '' as _order_seq,
        timestamp '{{ reload.instant }}' as _order_at,
        0 as _tied_with_insert
    from (

        {{ cdc_placed(table, base, epochs, scope) | indent(8) }}

    ) as earlier
    where earlier._epoch < {{ reload.epoch }}
        and not exists (
            select 1
            from {{ 'changes' if scope == 'some' else base }} as loaded
            where loaded._epoch = {{ reload.epoch }}
                and {{ cdc_key_match(table, 'loaded', 'earlier') }}
        )
    group by {{ cdc_keys(table, 'earlier') }}
    {%- endfor %}

),

ranked as (

    select
        ordered.*,
        row_number() over key_order as _rank,
        lead(ordered._op) over key_order is null as _is_last,
        -- The change that the key last lived with.
        {{ last_known("case when ordered._op <> 'D' then ordered._change_id end", 'key_order')
            | indent(8) }} as _living_id,
        -- Instants that run backwards against the order count as their running maximum.
        max(ordered._happened_at) over (
            key_order rows between unbounded preceding and current row
        ) as _effective_at,
        lead(ordered._happened_at) over key_order as _next_happened_at
    from ordered
    window key_order as (
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
    )

)
{%- endmacro %}


{# A select of the events of the chosen keys with their place in the order; absences are not among
   them. Rendered where it is read, so that no engine holds a rebuild's events for a second reader. #}
{% macro cdc_placed(table, base, epochs, scope) -%}
{%- set has_updated_at = 'updated_at' in cdc_column_names(table) -%}
{%- set updated_at = 'updated_at' if has_updated_at else 'cast(null as timestamp)' -%}
{%- set carried = ['_change_seq', '_committed_at', '_row_hash', '_source_file', '_ingested_at'] -%}
select
    {{ cdc_keys(table, 'events') }},
    events._change_id,
    events._op,
    events._tie_op,
    events._load_epoch,
    events._change_seq,
    events._committed_at,
    events._row_hash,
    events._updated_at,
    events._source_file,
    events._ingested_at,
    events._is_departure,
    {{ cdc_place(epochs, 'events') | indent }},
    {%- if table.sequence %}
    -- Sequences are numbers in text; padded, text order is number order. A row without one is
    -- older than all that have one, and ordered by its commit time.
    coalesce(lpad(events._change_seq, 40, '0'), '') as _order_seq,
    case when events._change_seq is null then events._committed_at end as _order_at
    {%- else %}
    '' as _order_seq,
    events._committed_at as _order_at
    {%- endif %}
from (

    select
        {{ cdc_keys(table, 'arrived') }},
        arrived._change_id,
        arrived._op,
        -- To the key it moves to, an update of a key is an arrival.
        case when {{ cdc_key_moved(table, 'arrived') }} then 'I' else arrived._op end as _tie_op,
        arrived._epoch as _load_epoch,
        {%- for name in carried %}
        arrived.{{ name }},
        {%- endfor %}
        {{ 'arrived.' if has_updated_at }}{{ updated_at }} as _updated_at,
        false as _is_departure
    from {{ 'changes' if scope == 'some' else base }} as arrived
    {%- if scope == 'all' %}
    where exists (
        select 1
        from chosen
        where {{ cdc_key_match(table, 'chosen', 'arrived') }}
    )
    {%- endif %}
    union all
    select
        {%- for key in table.key %}
        coalesce(departed._bi_{{ key }}, departed.{{ key }}) as {{ key }},
        {%- endfor %}
        departed._change_id,
        'D' as _op,
        'D' as _tie_op,
        departed._epoch as _load_epoch,
        {%- for name in carried %}
        departed.{{ name }},
        {%- endfor %}
        {{ 'departed.' if has_updated_at }}{{ updated_at }} as _updated_at,
        true as _is_departure
    from {{ base }} as departed
    where {{ cdc_key_moved(table, 'departed') }}
        and exists (
            select 1
            from chosen
            where
                {%- for key in table.key %}
                {{ 'and ' if not loop.first }}chosen.{{ key }} = coalesce(
                    departed._bi_{{ key }}, departed.{{ key }}
                )
                {%- endfor %}
        )
    {%- if cdc_truncate_files(table) | length > 0 %}
    union all
    select
        {{ cdc_keys(table, 'emptied') }},
        emptied._change_id,
        emptied._op,
        emptied._tie_op,
        emptied._load_epoch,
        {%- for name in carried %}
        emptied.{{ name }},
        {%- endfor %}
        emptied._updated_at,
        emptied._is_departure
    from emptied
    {%- endif %}

) as events
{%- endmacro %}


{# A select of the base rows of a rebuild that are the only event of their key: `lone`, with their place
   as ranked rows have it. #}
{% macro cdc_lone(table, base) -%}
select
    lone.*,
    {{ cdc_place(cdc_epochs(table), 'lone') | indent }}
from (

    select
        {%- for name in cdc_column_names(table) %}
        single.{{ name }},
        {%- endfor %}
        single._change_id,
        single._op,
        single._epoch as _load_epoch,
        single._change_seq,
        single._committed_at,
        single._source_file,
        single._ingested_at
    from {{ base }} as single
    where not exists (
        select 1
        from chosen
        where {{ cdc_key_match(table, 'chosen', 'single') }}
    )
    {%- if cdc_truncate_files(table) | length > 0 %}
        and single._op <> 'T'
    {%- endif %}

) as lone
{%- endmacro %}


{# SQL: epoch, stage (0 absence, 1 load, 2 change) and instant of an event. #}
{% macro cdc_place(epochs, qualifier) -%}
cast({{ cdc_placed_epoch(epochs, qualifier ~ '._load_epoch', qualifier ~ '._committed_at') }}
    as bigint) as _epoch,
case when {{ qualifier }}._load_epoch is not null then 1 else 2 end as _stage,
case
    when {{ qualifier }}._load_epoch is not null
        then {{ cdc_instant_of(epochs, qualifier ~ '._load_epoch') | indent(8) }}
    else {{ qualifier }}._committed_at
end as _happened_at
{%- endmacro %}


{# SQL: the epoch that an event belongs to. #}
{% macro cdc_placed_epoch(epochs, load_epoch, committed_at) -%}
case
    when {{ load_epoch }} is not null then {{ load_epoch }}
    else {{ cdc_epoch_of(epochs, committed_at) | indent }}
end
{%- endmacro %}


{# SQL: the change moved its row to another key. The before image is asked first: nearly always it
   is NULL, and then nothing else is read. #}
{% macro cdc_key_moved(table, qualifier) -%}
    (
        {%- for key in table.key -%}
        {{ qualifier }}._bi_{{ key }} <> {{ qualifier }}.{{ key }}{{ ' or ' if not loop.last }}
        {%- endfor -%}
    ) and {{ qualifier }}._op = 'U'
{%- endmacro %}


{# Columns of base_ that decide the order of changes, and what goes with it through the sorts. #}
{% macro cdc_order_columns(table) -%}
    {%- set names = table.key | list -%}
    {%- for key in table.key -%}{%- do names.append('_bi_' ~ key) -%}{%- endfor -%}
    {%- if 'updated_at' in cdc_column_names(table) and 'updated_at' not in names -%}
        {%- do names.append('updated_at') -%}
    {%- endif -%}
    {%- do return(names + [
        '_change_id', '_op', '_epoch', '_change_seq', '_committed_at', '_row_hash', '_source_file',
        '_ingested_at',
    ]) -%}
{%- endmacro %}
