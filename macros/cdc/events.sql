{# CTEs that cdc_placed reads: `chosen`, the keys in scope; `changes`, where few keys are affected what
   orders their rows of base_; and the truncates. Ends with a comma. ranks_plainly: in a rebuild the keys
   in scope are only those that `plain` (plain.sql) cannot order; compares_loads is for it. #}
{% macro cdc_events(table, base, base_name, model_name, scope, ranks_plainly=false, compares_loads=false) -%}
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
        coalesce(landed._bi_{{ key }}, landed.{{ key }}) as _before_{{ key }},
        {%- endfor %}
        {{ row_pointer('landed') }} as _pointer
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

    select
        log.*,
        pending._pointer is not null as _is_pending
    from (

        {{ rows_of_keys(base, table.key, 'chosen', cdc_order_columns(table)) | indent(8) }}

    ) as log
    left join affected as pending
        on log._pointer = pending._pointer

),
{%- elif ranks_plainly -%}
{{ cdc_plain_ctes(table, base, truncate_files, reloads, compares_loads) }}
{%- else -%}
chosen as (

    {{ cdc_keys_of_several(table, base, truncate_files, reloads) | indent }}
    union all
    {{ cdc_keys_left(table, base) | indent }}

),
{%- endif %}
{%- if truncate_files | length > 0 %}

{{ cdc_truncate_ctes(table, base, truncate_files) }}
{%- endif %}
{%- endmacro %}


{# A select of the keys with more than one event, and of those that a truncate or the absence from a
   reload may have deleted without naming them; with_swept: which of them are such (`_is_swept`). #}
{% macro cdc_keys_of_several(table, base, truncate_files, reloads, with_swept=false) -%}
{%- set is_older -%}
min({{ cdc_placed_epoch(cdc_epochs(table), 'logged._epoch', 'logged._committed_at') }})
        < {{ reloads[-1].epoch if reloads else 0 }}
{%- endset -%}
{%- set is_swept = 'true' if truncate_files else is_older if reloads else 'false' -%}
select
    {{ cdc_keys(table, 'logged') }}
    {%- if with_swept %},
    {{ is_swept | indent }} as _is_swept
    {%- endif %}
from {{ base }} as logged
{%- if truncate_files %}
-- A truncate is an event of every key.
where logged._op <> 'T'
group by {{ cdc_keys(table, 'logged') }}
{%- else %}
group by {{ cdc_keys(table, 'logged') }}
having count(*) > 1
    {%- if reloads %}
    or {{ is_swept | indent }}
    {%- endif %}
{%- endif %}
{%- endmacro %}


{# A select of the keys that a row was moved from. #}
{% macro cdc_keys_left(table, base) -%}
select
    {%- for key in table.key %}
    coalesce(moved._bi_{{ key }}, moved.{{ key }}) as {{ key }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ base }} as moved
where {{ cdc_key_moved(table, 'moved') }}
{%- endmacro %}


{# CTE `placed`: the events of the keys in scope, as a query of its own reads them. #}
{% macro cdc_placed_events(table, base, base_name, model_name, scope) -%}
    {{ return(adapter.dispatch('cdc_placed_events', 'synapse')(table, base, base_name, model_name, scope)) }}
{%- endmacro %}

{% macro default__cdc_placed_events(table, base, base_name, model_name, scope) -%}
{{ cdc_events(table, base, base_name, model_name, scope) }}

placed as (

    {{ cdc_placed(table, base, cdc_epochs(table), scope) | indent }}

)
{%- endmacro %}


{# A select of the events of the chosen keys with their place in the order; absences are not among
   them. Rendered where it is read, so that no engine holds a rebuild's events for a second reader. #}
{% macro cdc_placed(table, base, epochs, scope) -%}
select
    {{ cdc_keys(table, 'events') }},
    events._pointer,
    events._op,
    events._tie_op,
    events._is_departure,
    events._is_pending,
    {{ cdc_place(epochs, 'events') | indent }},
    {{ cdc_order_of(table, 'events') | indent }}
from (

    select
        {{ cdc_keys(table, 'arrived') }},
        {{ 'arrived._pointer' if scope == 'some' else row_pointer('arrived') ~ ' as _pointer' }},
        arrived._op,
        -- To the key it moves to, an update of a key is an arrival.
        case when {{ cdc_key_moved(table, 'arrived') }} then 'I' else arrived._op end as _tie_op,
        arrived._epoch as _load_epoch,
        arrived._change_seq,
        arrived._committed_at,
        false as _is_departure,
        {{ 'arrived._is_pending' if scope == 'some' else 'true as _is_pending' }}
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
        {{ row_pointer('departed') }} as _pointer,
        'D' as _op,
        'D' as _tie_op,
        departed._epoch as _load_epoch,
        departed._change_seq,
        departed._committed_at,
        true as _is_departure,
        {%- if scope == 'some' %}
        {{ row_pointer('departed') }} in (
            select affected._pointer from affected
        ) as _is_pending
        {%- else %}
        true as _is_pending
        {%- endif %}
    from {{ base }} as departed
    where {{ cdc_key_moved(table, 'departed') }}
        and {{ cdc_key_before_is_chosen(table, 'departed') | indent(8) }}
    {%- if cdc_truncate_files(table) | length > 0 %}
    union all
    select
        {{ cdc_keys(table, 'emptied') }},
        emptied._pointer,
        'D' as _op,
        'D' as _tie_op,
        cast(null as bigint) as _load_epoch,
        emptied._change_seq,
        emptied._committed_at,
        true as _is_departure,
        false as _is_pending
    from emptied
    {%- endif %}

) as events
{%- endmacro %}


{# SQL: the key that a change moved its row from is among those in scope. #}
{% macro cdc_key_before_is_chosen(table, qualifier) -%}
exists (
    select 1
    from chosen
    where
        {%- for key in table.key %}
        {{ 'and ' if not loop.first }}chosen.{{ key }} = coalesce(
            {{ qualifier }}._bi_{{ key }}, {{ qualifier }}.{{ key }}
        )
        {%- endfor %}
)
{%- endmacro %}
