{# hist_dms__<table>: exact SCD2. Every update opens a version; changes of one key at one instant
   collapse to the last; a delete closes; an unchanged row of a reload opens none; an instant that
   runs backwards against the order counts as the running maximum. Intervals are [from, to).

   What an incremental run answers, by amend_versions' convention: a row without a version for each key
   whose versions are replaced, the versions to insert, and with a version but without a _valid_from
   those that only end. A key whose new changes all come after its old ones keeps its old versions,
   the last of which ends; of them nothing is read or written but that. #}
{% macro cdc_history(table_name, source_name='dms_synapse', dated_by='created_at') -%}
    {%- set base_name = 'base_dms__' ~ table_name -%}
    {%- set base = ref(base_name) -%}
    {%- if not execute -%}
        {{- cdc_fold_config(
            table_name, source_name, amend_versions_strategy(), dated_by,
            {'void_column': '_valid_from', 'row_columns': ['_version'], 'distinct_texts': []}
        ) -}}
        {%- do return('select 1 as placeholder') -%}
    {%- endif -%}
    {%- set table = cdc_table(table_name, source_name) -%}
    {%- set scope = pending_scope(base_name, model.name) -%}
    {%- if scope == 'none' -%}
        {%- do return('select * from ' ~ this ~ ' where false') -%}
    {%- endif -%}
    {{ return(adapter.dispatch('cdc_versions', 'synapse')(table, base, base_name, model.name, scope)) }}
{%- endmacro %}


{# CTEs `compared` and `bounded`: of ranked changes those that change something, with their instants, the
   number of the version and the given columns. #}
{% macro cdc_version_bounds(table, carried, continues=false) -%}
compared as (

    select
        kept.*,
        lag(kept._op) over key_order as _op_before,
        lag(kept._row_hash) over key_order as _row_hash_before
    from ranked as kept
    -- The next instant is the greater of this one and the next change's: only where it is greater
    -- is this change the last of its instant.
    where kept._is_last
        or kept._next_happened_at > kept._effective_at
    window key_order as (
        partition by {{ cdc_keys(table, 'kept') }}
        order by kept._rank
    )

),

bounded as (

    select
        {{ cdc_keys(table, 'changed') }},
        {%- for name in carried %}
        changed.{{ name }},
        {%- endfor %}
        changed._op,
        changed._effective_at,
        {%- if continues %}
        changed._is_pending,
        -- Of what is left: an unchanged load row may have stood between.
        lead(changed._is_pending) over key_order as _ends_by_news,
        {%- endif %}
        lead(changed._effective_at) over key_order as _valid_to,
        sum(case when changed._op <> 'D' then 1 else 0 end) over (
            key_order rows between unbounded preceding and current row
        ) as _version
    from compared as changed
    where not (
        changed._stage = 1
        and coalesce(changed._op_before, 'D') <> 'D'
        and changed._row_hash = changed._row_hash_before
    )
    window key_order as (
        partition by {{ cdc_keys(table, 'changed') }}
        order by changed._rank
    )

)
{%- endmacro %}


{# The select of the versions of the keys in scope. #}
{% macro default__cdc_versions(table, base, base_name, model_name, scope) -%}
{%- set continues = scope == 'some' and versions_can_be_ended() -%}
with {{ cdc_ranked(table, base, base_name, model_name, scope, compares_loads=true) }},

{{ cdc_version_bounds(table, ['_pointer'], continues) }},
{%- if is_incremental() %}

-- Keys whose versions are replaced. One whose versions all collapsed away loses its rows as well.
replaced as (

    {%- if continues %}

    -- An old change follows a new one, or a new one at its very instant takes its place.
    select distinct {{ cdc_keys(table, 'ranked') }}
    from ranked
    where not ranked._is_pending
        and (
            ranked._follows_news
            or (
                ranked._precedes_news
                and ranked._next_happened_at <= ranked._effective_at
            )
        )
    {%- else %}

    select distinct {{ cdc_keys(table, 'chosen') }}
    from chosen
    {%- if scope == 'all' %}
    union distinct
    select {{ cdc_keys(table, 'lone_keys') }}
    from {{ base }} as lone_keys
    where lone_keys._op <> 'T'
    {%- endif %}
    {%- endif %}

),
{%- endif %}

versions as (

    select
        {{ cdc_keys(table, 'bounded') }},
        bounded._pointer,
        {%- if continues %}
        bounded._is_pending
        or exists (
            select 1
            from replaced
            where {{ cdc_key_match(table, 'replaced', 'bounded') }}
        ) as _is_new,
        bounded._is_pending,
        bounded._ends_by_news,
        {%- endif %}
        cast(bounded._version as bigint) as _version,
        bounded._effective_at as _valid_from,
        bounded._valid_to
    from bounded
    where bounded._op <> 'D'

)
{%- if scope == 'all' %},

-- What became of each change of the keys that had to be ordered.
verdicts as (

    select
        ordered_plainly._pointer,
        ordered_plainly._op <> 'D' as _is_version,
        cast(ordered_plainly._version as bigint) as _version,
        ordered_plainly._happened_at as _valid_from,
        ordered_plainly._next_happened_at as _valid_to
    from {{ cdc_plainly_ordered(table) | indent(4) }} as ordered_plainly
    union all
    select
        of_chosen._pointer,
        versions._pointer is not null as _is_version,
        versions._version,
        versions._valid_from,
        versions._valid_to
    from (

        {{ cdc_pointers_of_chosen(table, base) | indent(8) }}

    ) as of_chosen
    left join versions
        on of_chosen._pointer = versions._pointer

)

select
    {%- for column in table.columns %}
    valued.{{ column.name }},
    {%- endfor %}
    coalesce(verdicts._version, 1) as _version,
    verdicts._valid_to is null as _is_current,
    case
        when verdicts._pointer is null
            then {{ cdc_happened_at(
                cdc_epochs(table), 'valued._epoch', 'valued._committed_at'
            ) | indent(12) }}
        else verdicts._valid_from
    end as _valid_from,
    verdicts._valid_to,
    valued._source_file,
    valued._ingested_at
from {{ every_row_of(base, for_most=true) }} as valued
left join verdicts
    on valued._pointer = verdicts._pointer
where coalesce(verdicts._is_version, valued._op not in ('D', 'T'))
{%- else %}

select
    {%- for column in table.columns %}
    {{ 'versions' if column.name in table.key else 'valued' }}.{{ column.name }},
    {%- endfor %}
    versions._version,
    versions._valid_to is null as _is_current,
    versions._valid_from,
    versions._valid_to,
    valued._source_file,
    valued._ingested_at
from versions
inner join {{ rows_at(base, cdc_versions_to_insert(continues)) }} as valued
    on versions._pointer = valued._pointer
{%- if continues %}
where versions._is_new
{%- endif %}
{%- endif %}
{%- if is_incremental() %}
union all
{{ cdc_bare_version(table, 'replaced', {}) }}
{%- endif %}
{%- if continues %}
union all
{{ cdc_bare_version(table, 'versions', {
    '_version': 'versions._version',
    '_is_current': 'false',
    '_valid_to': 'versions._valid_to',
}) }}
where not versions._is_new
    and versions._ends_by_news
{%- endif %}
{%- endmacro %}


{# Selects of pointers to the changes whose values new versions hold. #}
{% macro cdc_versions_to_insert(continues) -%}
    {%- if not continues -%}{%- do return(['select versions._pointer from versions']) -%}{%- endif -%}
    {%- do return([
        'select affected._pointer from affected',
        'select versions._pointer from versions where versions._is_new and not versions._is_pending',
    ]) -%}
{%- endmacro %}


{# A select of rows of history that hold nothing but their key and what is given. #}
{% macro cdc_bare_version(table, relation, given) -%}
select
    {{ cdc_columns_without_values(table, relation) }},
    {%- for name, data_type in [
        ('_version', 'bigint'), ('_is_current', 'boolean'), ('_valid_from', 'timestamp'),
        ('_valid_to', 'timestamp'), ('_source_file', 'varchar'), ('_ingested_at', 'timestamp'),
    ] %}
    {{ given.get(name, 'cast(null as ' ~ data_type ~ ')') }} as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ relation }}
{%- endmacro %}
