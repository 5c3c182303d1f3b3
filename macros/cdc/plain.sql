{# CTEs of a rebuild: `several`, the keys with more than one event; `plain`, their changes in order, by what
   orders changes and nothing else; and `chosen` (`chosen_keys`, each once), the keys for which that is not
   enough, which go through cdc_ranked: two changes under one order, a key that its row was moved from, that
   a truncate or a reload swept, and for versions (compares_loads) an instant that is not later than the
   one before, as that of a second load row is. Ends with a comma.
   Those are few. All others need neither a digest nor a search for ties: one window over narrow rows
   tells their states and versions, and two changes of one order by their equal rank. #}
{% macro cdc_plain_ctes(table, base, truncate_files, reloads, compares_loads) -%}
several as (

    {{ cdc_keys_of_several(table, base, truncate_files, reloads, with_swept=true) | indent }}

),

plain as (

    select
        {{ cdc_keys(table, 'lined') }},
        lined._pointer,
        lined._op,
        lined._epoch,
        lined._stage,
        lined._happened_at,
        lead(lined._op) over key_order is null as _is_last,
        {%- if compares_loads %}
        sum(case when lined._op <> 'D' then 1 else 0 end) over (
            key_order rows between unbounded preceding and current row
        ) as _version,
        lead(lined._happened_at) over key_order as _next_happened_at,
        rank() over key_order <> row_number() over key_order
        or coalesce(lead(lined._happened_at) over key_order <= lined._happened_at, false)
            as _is_doubtful
        {%- else %}
        {{ last_known("case when lined._op <> 'D' then lined._pointer end", 'key_order')
            | indent(8) }} as _living_pointer,
        rank() over key_order <> row_number() over key_order as _is_doubtful
        {%- endif %}
    from (

        select
            {{ cdc_keys(table, 'arrived') }},
            {{ row_pointer('arrived') }} as _pointer,
            arrived._op,
            {{ cdc_place(cdc_epochs(table), 'arrived', '_epoch') | indent(12) }},
            {{ cdc_order_of(table, 'arrived') | indent(12) }}
        from {{ base }} as arrived
        -- Not `exists`, for which DuckDB collects all keys of the table once more.
        inner join several
            on {{ cdc_key_match(table, 'several', 'arrived') }}
        where not several._is_swept

    ) as lined
    window key_order as (
        partition by {{ cdc_keys(table, 'lined') }}
        order by
            lined._epoch,
            lined._stage,
            lined._order_seq,
            lined._order_at nulls first
    )

),

chosen as (

    select {{ cdc_keys(table, 'plain') }}
    from plain
    where plain._is_doubtful
    union all
    select {{ cdc_keys(table, 'several') }}
    from several
    where several._is_swept
    union all
    {{ cdc_keys_left(table, base) | indent }}

),

chosen_keys as (

    select distinct {{ cdc_keys(table, 'chosen') }}
    from chosen

),
{%- endmacro %}


{# A relation: the rows of `plain` of the keys that need nothing more. #}
{% macro cdc_plainly_ordered(table) -%}
(
    select plain.*
    from plain
    -- Not `not exists`, as above.
    left join chosen_keys
        on {{ cdc_key_match(table, 'plain', 'chosen_keys') }}
    where chosen_keys.{{ table.key[0] }} is null
)
{%- endmacro %}


{# A select of the pointers of the base rows of a rebuild's chosen keys. #}
{% macro cdc_pointers_of_chosen(table, base) -%}
select {{ row_pointer('arrived') }} as _pointer
from {{ base }} as arrived
inner join chosen_keys
    on {{ cdc_key_match(table, 'chosen_keys', 'arrived') }}
{%- endmacro %}
