{# CTEs, the last of them `ranked`: the changes of the keys in scope in the one order that all engines
   and all splittings agree on, `_rank` ascending. Rows: base changes; departures (the old key of an
   update that changed its key is deleted by it); truncations (each key is deleted by a truncate of its
   table, which names none); absences (a key that an epoch's load does not name no longer exists from
   its instant on).
   Order: epoch; absence, load, change; sequence where declared, else commit time. Still tied, content
   decides: with an insert among the tied D < I < U, else U < D; then updated_at; then the hash.

   What is sorted is a skeleton: key, order, and a pointer to the row of base_. Values are looked up of
   the changes that are left. Content, of which the hash is dear, is looked at only where it decides
   (`weighed`): where an order is tied and, if `compares_loads`, where a load row follows something.

   Keys in scope are in `chosen`. Where few keys are affected ('some') these are they: the pending
   files' rows are found by their time of ingest, then one pass over the key column (and one over the
   before images, nearly all NULL) leads to the rows of those keys, of which nothing is read but what
   orders them. In a rebuild ('all') they are the keys that plain.sql leaves; a key with one event needs
   no order at all: its row is taken as it stands. #}
{% macro cdc_ranked(table, base, base_name, model_name, scope, compares_loads=false) -%}
{%- set epochs = cdc_epochs(table) -%}
{%- set reloads = epochs | rejectattr('instant', 'none') | list -%}
{%- set has_updated_at = 'updated_at' in cdc_column_names(table) -%}
{%- set order_columns = ['_epoch', '_stage', '_order_seq', '_order_at'] -%}
{{ cdc_events(
    table, base, base_name, model_name, scope, ranks_plainly=true, compares_loads=compares_loads
) }}

-- Changes whose order is not told by what orders changes.
tied as (

    select
        {{ cdc_keys(table, 'alike') }},
        {%- for column in order_columns %}
        alike.{{ column }},
        {%- endfor %}
        max(case when alike._tie_op = 'I' then 1 else 0 end) as _has_insert
    from (

        {{ cdc_placed(table, base, epochs, scope) | indent(8) }}

    ) as alike
    group by
        {{ cdc_keys(table, 'alike') }},
        {%- for column in order_columns %}
        alike.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    having count(*) > 1

),

weighed_keys as (

    select {{ cdc_keys(table, 'tied') }}
    from tied
    {%- if compares_loads %}
    union all
    select {{ cdc_keys(table, 'loaded') }}
    from (

        {{ cdc_placed(table, base, epochs, scope) | indent(8) }}

    ) as loaded
    group by {{ cdc_keys(table, 'loaded') }}
    having max(case when loaded._stage = 1 then loaded._epoch end) > min(loaded._epoch)
        or sum(case when loaded._stage = 1 then 1 else 0 end) > 1
    {%- endif %}

),

weighed as (

    select
        heavy._pointer,
        heavy._change_id,
        {{ 'heavy.updated_at' if has_updated_at else 'cast(null as timestamp)' }} as _updated_at,
        {{ cdc_row_hash(table.columns, 'heavy') | indent(8) }} as _row_hash
    from {{ every_row_of(base) | indent(4) }} as heavy
    where heavy._pointer in (

        select light._pointer
        from (

            {{ cdc_placed(table, base, epochs, scope) | indent(12) }}

        ) as light
        where exists (
            select 1
            from weighed_keys
            where {{ cdc_key_match(table, 'weighed_keys', 'light') }}
        )

    )

),

ordered as (

    select
        placed.*,
        tied._has_insert as _tied_with_insert,
        weighed._updated_at,
        weighed._row_hash,
        weighed._change_id
    from (

        {{ cdc_placed(table, base, epochs, scope) | indent(8) }}

    ) as placed
    left join tied
        on {{ cdc_key_match(table, 'placed', 'tied') }}
        {%- for column in order_columns %}
        and placed.{{ column }} is not distinct from tied.{{ column }}
        {%- endfor %}
    left join weighed
        on placed._pointer = weighed._pointer
    {%- for reload in reloads %}
    union all
    select
        {{ cdc_keys(table, 'earlier') }},
        -- Some change of the key's, whose file is named.
        max(earlier._pointer) as _pointer,
        'D' as _op,
        'D' as _tie_op,
        true as _is_departure,
        false as _is_pending,
        {{ reload.epoch }} as _epoch,
        0 as _stage,
        timestamp '{{ reload.instant }}' as _happened_at,
        '' as _order_seq,
        timestamp '{{ reload.instant }}' as _order_at,
        0 as _tied_with_insert,
        cast(null as timestamp) as _updated_at,
        cast(null as varchar) as _row_hash,
        cast(null as varchar) as _change_id
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
        {{ last_known("case when ordered._op <> 'D' then ordered._pointer end", 'key_order')
            | indent(8) }} as _living_pointer,
        -- Instants that run backwards against the order count as their running maximum.
        max(ordered._happened_at) over (
            key_order rows between unbounded preceding and current row
        ) as _effective_at,
        lead(ordered._happened_at) over key_order as _next_happened_at
        {%- if scope == 'some' %},
        max(case when ordered._is_pending then 1 else 0 end) over (
            key_order rows between unbounded preceding and current row
        ) = 1 as _follows_news,
        lead(ordered._is_pending) over key_order as _precedes_news
        {%- endif %}
    from ordered
    window key_order as (
        partition by {{ cdc_keys(table, 'ordered') }}
        order by {{ cdc_order('ordered') | indent(12) }}
    )

)
{%- endmacro %}


{# SQL: what the events of one key are ordered by. #}
{% macro cdc_order(qualifier) %}
{{ qualifier }}._epoch,
{{ qualifier }}._stage,
{{ qualifier }}._order_seq,
{{ qualifier }}._order_at nulls first,
case
    when {{ qualifier }}._tie_op = 'I' then 1
    when {{ qualifier }}._tied_with_insert = 1
        then case when {{ qualifier }}._tie_op = 'D' then 0 else 2 end
    when {{ qualifier }}._tie_op = 'D' then 3
    else 2
end,
{{ qualifier }}._updated_at nulls first,
{{ qualifier }}._row_hash,
{{ qualifier }}._change_id
{%- endmacro %}


{# SQL: _order_seq and _order_at of an event. #}
{% macro cdc_order_of(table, qualifier) -%}
{%- if table.sequence -%}
-- Sequences are numbers in text; padded, text order is number order. A row without one is
-- older than all that have one, and ordered by its commit time.
coalesce(lpad({{ qualifier }}._change_seq, 40, '0'), '') as _order_seq,
case when {{ qualifier }}._change_seq is null then {{ qualifier }}._committed_at end as _order_at
{%- else -%}
'' as _order_seq,
{{ qualifier }}._committed_at as _order_at
{%- endif -%}
{%- endmacro %}


{# SQL: epoch, stage (0 absence, 1 load, 2 change) and instant of an event. #}
{% macro cdc_place(epochs, qualifier, load_epoch='_load_epoch') -%}
{%- set load_epoch = qualifier ~ '.' ~ load_epoch -%}
{%- set committed_at = qualifier ~ '._committed_at' -%}
cast({{ cdc_placed_epoch(epochs, load_epoch, committed_at) }} as bigint) as _epoch,
case when {{ load_epoch }} is not null then 1 else 2 end as _stage,
{{ cdc_happened_at(epochs, load_epoch, committed_at) }} as _happened_at
{%- endmacro %}


{# SQL: the instant of an event. #}
{% macro cdc_happened_at(epochs, load_epoch, committed_at) -%}
case
    when {{ load_epoch }} is not null
        then {{ cdc_instant_of(epochs, load_epoch) | indent(8) }}
    else {{ committed_at }}
end
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


{# Columns of base_ that decide the order of changes. #}
{% macro cdc_order_columns(table) -%}
    {%- set names = table.key | list -%}
    {%- for key in table.key -%}{%- do names.append('_bi_' ~ key) -%}{%- endfor -%}
    {%- do return(names + ['_op', '_epoch', '_change_seq', '_committed_at']) -%}
{%- endmacro %}
