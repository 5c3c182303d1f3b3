{# What base_, stg_ and hist_dms__ hold, and what ops_cdc_ambiguities counts, in forms that name what they
   read once. The order of changes is that of cdc_ranked, which says why it is so.
   Fails without: Trino plans a CTE anew wherever it is named. The forms that are fast on DuckDB, where
   narrow rows are sorted and values are looked up of those that are left, read files four times and
   base_ forty times on Athena, which bills every time and plans for half a minute. Here whole rows pass
   through the windows, and of base_ is read what moved to another key once more, which its statistics
   prune. Which files of base_ may hold a key is said in literals (layout.sql). #}


{# Once more only the keys of what landed, by which what is held is pruned. #}
{% macro athena__cdc_base_rows(table, bronze, files, is_appending) -%}
with {{ cdc_accepted_files(table) }},

delivered as (

    select
        deliveries.*,
        row_number() over (
            partition by deliveries._change_id
            order by deliveries._ingested_at, deliveries._source_file
        ) as _delivery_number
    from (

        {{ cdc_identified(table, bronze, files) | indent(8) }}

    ) as deliveries

)
{%- if is_appending %},

{{ cdc_landed_keys(table, bronze, files) }},

{{ cdc_known_changes(table, value_ranges(
    'landed_keys', table.key[0], cdc_key_type(table),
    cdc_accepted_files(table) ~ ', ' ~ cdc_landed_keys(table, bronze, files) ~ ','
) if files else []) }}
{%- endif %}

select
    {{ cdc_base_columns(table, 'delivered') | indent(4) }}
from delivered
where delivered._delivery_number = 1
{%- if is_appending %}
    and not exists (
        select 1
        from known
        where known._change_id = delivered._change_id
    )
{%- endif %}
{%- endmacro %}


{# CTE `chosen`: where few keys are affected these, else all. Ends with a comma. #}
{% macro cdc_chosen_keys(table, base, base_name, model_name, scope) -%}
chosen as (

    select distinct
        {%- for key in table.key %}
        case image.is_before when 1 then coalesce(logged._bi_{{ key }}, logged.{{ key }})
            else logged.{{ key }} end as {{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ base }} as logged
    cross join (values (0), (1)) as image (is_before)
    where (image.is_before = 0 or ({{ cdc_key_moved(table, 'logged') }}))
    {%- if scope == 'some' %}
        {%- set range = pending_range(base_name, model_name) %}
        and logged._ingested_at between timestamp '{{ range.from }}' and timestamp '{{ range.to }}'
        and logged._source_file in (
            select pending.path from {{ files_pending(base_name, model_name) }} as pending
        )
    {%- endif %}
    {%- if cdc_truncate_files(table) | length > 0 %}
        and logged._op <> 'T'
    {%- endif %}

),
{%- endmacro %}


{# CTEs `chosen` and `placed`: the events of the keys in scope, absences not among them, with the columns
   of base_ and their place in the order. What nobody reads of them, Trino does not read either. #}
{% macro cdc_scan(table, base, base_name, model_name, scope) -%}
{%- set truncate_files = cdc_truncate_files(table) -%}
{%- set others = table.columns | rejectattr('name', 'in', table.key) | list -%}
{%- set chosen_keys = cdc_chosen_keys(table, base, base_name, model_name, scope) -%}
{%- set ranges = value_ranges('chosen', table.key[0], cdc_key_type(table), chosen_keys)
    if scope == 'some' else none -%}
{{ chosen_keys }}

events as (

    select
        {{ cdc_keys(table, 'arrived') }},
        {%- for column in others %}
        arrived.{{ column.name }},
        {%- endfor %}
        arrived._op,
        -- To the key it moves to, an update of a key is an arrival.
        case when {{ cdc_key_moved(table, 'arrived') }} then 'I' else arrived._op end as _tie_op,
        arrived._epoch as _load_epoch,
        false as _is_departure,
        {{ cdc_scanned_columns(table, 'arrived') | indent(8) }}
    from {{ base }} as arrived
    where {{ "arrived._op <> 'T'" if truncate_files else 'true' }}
    {%- if scope == 'some' %}
        and exists (
            select 1
            from chosen
            where {{ cdc_key_match(table, 'chosen', 'arrived') }}
        )
        and {{ is_in_ranges('arrived.' ~ table.key[0], ranges) | indent(8) }}
    {%- endif %}
    union all
    select
        {%- for key in table.key %}
        coalesce(departed._bi_{{ key }}, departed.{{ key }}) as {{ key }},
        {%- endfor %}
        {%- for column in others %}
        cast(null as {{ column.data_type }}) as {{ column.name }},
        {%- endfor %}
        'D' as _op,
        'D' as _tie_op,
        departed._epoch as _load_epoch,
        true as _is_departure,
        {{ cdc_scanned_columns(table, 'departed') | indent(8) }}
    from {{ base }} as departed
    where {{ cdc_key_moved(table, 'departed') }}
        -- Said once more, because it is what a file's statistics tell.
        and (
            {%- for key in table.key %}
            {{ 'or ' if not loop.first }}departed._bi_{{ key }} is not null
            {%- endfor %}
        )
    {%- if scope == 'some' %}
        and {{ cdc_key_before_is_chosen(table, 'departed') | indent(8) }}
    {%- endif %}
    {%- if truncate_files %}
    union all
    -- Of keys that come after it too: to delete what is not there yet changes nothing.
    select
        {{ cdc_keys(table, 'chosen') }},
        {%- for column in others %}
        cast(null as {{ column.data_type }}) as {{ column.name }},
        {%- endfor %}
        'D' as _op,
        'D' as _tie_op,
        cast(null as bigint) as _load_epoch,
        true as _is_departure,
        {{ cdc_scanned_columns(table, 'truncates') | indent(8) }}
    from chosen
    cross join {{ base }} as truncates
    where truncates._source_file in ({{ sql_texts(truncate_files) }})
        and truncates._op = 'T'
    {%- endif %}

),

placed as (

    select
        events.*,
        {{ cdc_place(cdc_epochs(table), 'events') | indent(8) }},
        {{ cdc_order_of(table, 'events') | indent(8) }}
    from events

)
{%- endmacro %}


{# Columns that every event has of the row of base_ it comes from. #}
{% macro cdc_scanned_columns(table, qualifier) -%}
{%- for name in ['_change_id', '_change_seq', '_committed_at', '_source_file', '_ingested_at'] -%}
{{ qualifier }}.{{ name }},
{% endfor -%}
{{ qualifier ~ '.updated_at' if 'updated_at' in cdc_column_names(table) else 'cast(null as timestamp)' }} as _updated_at,
{{ cdc_row_hash(table.columns, qualifier) }} as _row_hash
{%- endmacro %}


{# CTEs, the last of them `ranked`: what cdc_ranked gives, with the columns of base_ instead of pointers
   to its rows. #}
{% macro cdc_ranked_rows(table, base, base_name, model_name, scope) -%}
{%- set reloads = cdc_epochs(table) | rejectattr('instant', 'none') | list -%}
{{ cdc_scan(table, base, base_name, model_name, scope) }},
{%- if reloads %}

-- What a key's absence from a reload is told by, and the one event of the key that tells it.
counted as (

    select
        placed.*,
        {%- for reload in reloads %}
        max(case when placed._load_epoch = {{ reload.epoch }} and not placed._is_departure then 1 else 0 end)
            over (partition by {{ cdc_keys(table, 'placed') }}) as _loaded_{{ reload.epoch }},
        {%- endfor %}
        row_number() over (
            partition by {{ cdc_keys(table, 'placed') }}
            order by placed._epoch, placed._change_id, placed._is_departure
        ) as _event_number
    from placed

),

ordered as (

    select
        {{ cdc_keys(table, 'counted') }},
        {%- for column in table.columns if column.name not in table.key %}
        counted.{{ column.name }},
        {%- endfor %}
        case when reloaded.epoch = 0 then counted._op else 'D' end as _op,
        case when reloaded.epoch = 0 then counted._tie_op else 'D' end as _tie_op,
        reloaded.epoch > 0 or counted._is_departure as _is_departure,
        case when reloaded.epoch = 0 then counted._epoch else reloaded.epoch end as _epoch,
        case when reloaded.epoch = 0 then counted._stage else 0 end as _stage,
        case when reloaded.epoch = 0 then counted._happened_at else reloaded.happened_at end
            as _happened_at,
        case when reloaded.epoch = 0 then counted._order_seq else '' end as _order_seq,
        case when reloaded.epoch = 0 then counted._order_at else reloaded.happened_at end as _order_at,
        case when reloaded.epoch = 0 then counted._change_seq end as _change_seq,
        case when reloaded.epoch = 0 then counted._committed_at else reloaded.happened_at end
            as _committed_at,
        counted._change_id,
        counted._source_file,
        counted._ingested_at,
        counted._updated_at,
        counted._row_hash
    from counted
    cross join (
        values
        (cast(0 as bigint), timestamp '{{ reloads[0].instant }}')
        {%- for reload in reloads %},
        (cast({{ reload.epoch }} as bigint), timestamp '{{ reload.instant }}')
        {%- endfor %}
    ) as reloaded (epoch, happened_at)
    where reloaded.epoch = 0
        or (
            counted._event_number = 1
            and counted._epoch < reloaded.epoch
            and case reloaded.epoch
                {%- for reload in reloads %}
                when {{ reload.epoch }} then counted._loaded_{{ reload.epoch }}
                {%- endfor %}
            end = 0
        )

),
{%- else %}

ordered as (

    select *
    from placed

),
{%- endif %}

weighed as (

    select
        ordered.*,
        max(case when ordered._tie_op = 'I' then 1 else 0 end) over (
            partition by
                {{ cdc_keys(table, 'ordered') }},
                ordered._epoch,
                ordered._stage,
                ordered._order_seq,
                ordered._order_at
        ) as _tied_with_insert
    from ordered

),

ranked as (

    select
        weighed.*,
        row_number() over key_order as _rank,
        lead(weighed._op) over key_order is null as _is_last,
        -- Instants that run backwards against the order count as their running maximum.
        max(weighed._happened_at) over (
            key_order rows between unbounded preceding and current row
        ) as _effective_at,
        lead(weighed._happened_at) over key_order as _next_happened_at
    from weighed
    window key_order as (
        partition by {{ cdc_keys(table, 'weighed') }}
        order by {{ cdc_order('weighed') | indent(12) }}
    )

)
{%- endmacro %}


{% macro athena__cdc_placed_events(table, base, base_name, model_name, scope) -%}
{{ cdc_scan(table, base, base_name, model_name, scope) }}
{%- endmacro %}


{% macro athena__cdc_states(table, base, base_name, model_name, scope) -%}
with {{ cdc_ranked_rows(table, base, base_name, model_name, scope) }},

lived as (

    select
        ranked.*,
        max(case when ranked._op <> 'D' then ranked._rank end) over (
            partition by {{ cdc_keys(table, 'ranked') }}
        ) as _living_rank
    from ranked

),

-- At most two rows a key: the last, and the one that it last lived with.
ends as (

    select
        lived.*,
        -- A deleted key keeps those values: a delete may carry nothing but the key.
        coalesce(lived._rank = lived._living_rank, not lived._is_departure) as _has_values
    from lived
    where lived._is_last
        or lived._rank = lived._living_rank

)

select
    {{ cdc_keys(table, 'ends') }},
    {%- for column in table.columns if column.name not in table.key %}
    max(case when ends._has_values then ends.{{ column.name }} end) as {{ column.name }},
    {%- endfor %}
    max(case when ends._is_last then ends._op end) = 'D' as _is_deleted,
    {%- for name in ['_op', '_epoch', '_change_seq', '_committed_at', '_source_file', '_ingested_at'] %}
    max(case when ends._is_last then ends.{{ name }} end) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from ends
group by {{ cdc_keys(table, 'ends') }}
{%- endmacro %}


{% macro athena__cdc_versions(table, base, base_name, model_name, scope) -%}
with {{ cdc_ranked_rows(table, base, base_name, model_name, scope) }},

{{ cdc_version_bounds(
    table,
    table.columns | map(attribute='name') | reject('in', table.key) | list
    + ['_source_file', '_ingested_at']
) }}

select
    {%- for column in table.columns %}
    bounded.{{ column.name }},
    {%- endfor %}
    cast(bounded._version as bigint) as _version,
    bounded._valid_to is null as _is_current,
    bounded._effective_at as _valid_from,
    bounded._valid_to,
    bounded._source_file,
    bounded._ingested_at
from bounded
where bounded._op <> 'D'
{%- if is_incremental() %}
union all
{{ cdc_bare_version(table, 'chosen', {}) }}
{%- endif %}
{%- endmacro %}
