{# hist_dms__<table>: exact SCD2. Every update opens a version; changes of one key at one instant
   collapse to the last; a delete closes; an unchanged row of a reload opens none; an instant that
   runs backwards against the order counts as the running maximum. Intervals are [from, to). #}
{% macro cdc_history(table_name, source_name='dms_synapse') -%}
    {%- set base_name = 'base_dms__' ~ table_name -%}
    {%- set base = ref(base_name) -%}
    {%- if not execute -%}
        {{- cdc_fold_config(table_name, source_name, void_column='_version') -}}
        {%- do return('select 1 as placeholder') -%}
    {%- endif -%}
    {%- set table = cdc_table(table_name, source_name) -%}
    {%- set scope = pending_scope(base_name, model.name) -%}
    {%- if scope == 'none' -%}
        {%- do return('select * from ' ~ this ~ ' where false') -%}
    {%- endif -%}

with {{ cdc_ranked(table, base, base_name, model.name, scope) }},

timed as (

    select
        ranked.*,
        max(ranked._happened_at) over (
            partition by {{ cdc_keys(table, 'ranked') }}
            order by ranked._rank
            rows between unbounded preceding and current row
        ) as _effective_at
    from ranked

),

followed as (

    select
        timed.*,
        lead(timed._effective_at) over (
            partition by {{ cdc_keys(table, 'timed') }}
            order by timed._rank
        ) as _next_effective_at
    from timed

),

compared as (

    select
        followed.*,
        lag(followed._op) over (
            partition by {{ cdc_keys(table, 'followed') }}
            order by followed._rank
        ) as _op_before,
        lag(followed._row_hash) over (
            partition by {{ cdc_keys(table, 'followed') }}
            order by followed._rank
        ) as _row_hash_before
    from followed
    where followed._next_effective_at is null
        or followed._next_effective_at > followed._effective_at

),

bounded as (

    select
        compared.*,
        lead(compared._effective_at) over (
            partition by {{ cdc_keys(table, 'compared') }}
            order by compared._rank
        ) as _valid_to
    from compared
    where not (
        compared._stage = 1
        and coalesce(compared._op_before, 'D') <> 'D'
        and compared._row_hash = compared._row_hash_before
    )

),

versions as (

    select
        {{ cdc_keys(table, 'bounded') }},
        bounded._change_id,
        row_number() over (
            partition by {{ cdc_keys(table, 'bounded') }}
            order by bounded._rank
        ) as _version,
        bounded._effective_at as _valid_from,
        bounded._valid_to,
        bounded._source_file,
        bounded._ingested_at
    from bounded
    where bounded._op <> 'D'

)
{%- if is_incremental() %},

-- A key whose versions all collapsed away must lose its rows as well: it is named without a version.
keys as (

    select distinct {{ cdc_keys(table, 'ranked') }}
    from ranked

)
{%- endif %}

select
    {%- for column in table.columns %}
    {{ ('keys' if is_incremental() else 'versions') if column.name in table.key else 'valued' }}
        {{- '.' ~ column.name }},
    {%- endfor %}
    versions._version,
    versions._valid_to is null as _is_current,
    versions._valid_from,
    versions._valid_to,
    versions._change_id,
    versions._source_file,
    versions._ingested_at
{%- if is_incremental() %}
from keys
left join versions
    on {{ cdc_key_match(table, 'keys', 'versions') }}
{%- else %}
from versions
{%- endif %}
left join {{ base }} as valued
    on versions._change_id = valued._change_id
{%- endmacro %}
