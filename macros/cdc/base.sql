{# base_dms__<table>: every distinct change, typed, append-only. Reads exactly the manifest's files
   that this model has not seen, as literals.
   What it reads of what it holds: keys and commit times, and where both equal those of what landed
   the identities, because a change can only repeat one of its own key and time. Within what landed, two
   changes can only be one where key, epoch and commit time are equal; all others go straight from
   the files into the table, digested once and neither sorted nor held.
   dated_by: column by whose month its rows lie together; that of a row which is never changed. #}
{% macro cdc_base(table_name, source_name='dms_synapse', dated_by='created_at') -%}
    {{- config(
        materialized='incremental',
        incremental_strategy='append',
        partitioned_by=by_month_of(dated_by),
        on_schema_change='append_new_columns',
        meta={'distinct_texts': ['_change_id', '_change_seq']},
        post_hook=[
            "{{ forget_files_seen(this.identifier, cdc_fed_models('" ~ table_name ~ "')) }}",
            "{{ cdc_read_further('" ~ table_name ~ "', '" ~ source_name ~ "') }}",
            "{{ cdc_mark_files_seen('" ~ table_name ~ "', '" ~ source_name ~ "') }}",
        ],
    ) -}}
    {%- set bronze = source(source_name, table_name) -%}
    {%- if not execute -%}{%- do return('select 1 as placeholder') -%}{%- endif -%}
    {%- set table = cdc_table(table_name, source_name) -%}
    {%- set files = files_by_statement(files_to_read(table.source, model.name))[0] -%}
    {{ cdc_base_rows(table, bronze, files, is_incremental()) }}
{%- endmacro %}


{# Post-hook of a base model, before its files count as seen: reads those that its own statement had no
   room for. #}
{% macro cdc_read_further(table_name, source_name) -%}
    {%- if execute and characters_of_paths() is not none -%}
        {%- set table = cdc_table(table_name, source_name) -%}
        {%- set bronze = source(source_name, table_name) -%}
        {%- for files in files_by_statement(files_to_read(table.source, model.name, true))[1:] -%}
            {%- do append_to_this(cdc_base_rows(table, bronze, files, true)) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}


{# The changes of these files that the table does not hold, or all of them where it is built from them. #}
{% macro cdc_base_rows(table, bronze, files, is_appending) -%}
    {{ return(adapter.dispatch('cdc_base_rows', 'synapse')(table, bronze, files, is_appending)) }}
{%- endmacro %}

{% macro default__cdc_base_rows(table, bronze, files, is_appending) -%}
    {%- set has_truncates = cdc_truncate_files(table) | length > 0 -%}

with {{ cdc_accepted_files(table) }},

{{ cdc_landed_keys(table, bronze, files) }},

-- Keys of which two landed changes may be one and the same.
doubtful as (

    select distinct {{ cdc_keys(table, 'alike') }}
    from (
        select {{ cdc_keys(table, 'landed_keys') }}
        from landed_keys
        group by
            {{ cdc_keys(table, 'landed_keys') }},
            landed_keys._epoch,
            landed_keys._committed_at
        having count(*) > 1
    ) as alike

),

single as (

    {{ cdc_identified(table, bronze, files) | indent }}
    where not exists (
        select 1
        from doubtful
        where {{ cdc_key_match(table, 'doubtful', 'identified') }}
    )
    {%- if has_truncates %}
        -- A truncate names no key by which its repetitions could be found.
        and identified._op <> 'T'
    {%- endif %}

),

-- The same change may land in several files; which one is named is decided by arrival, never by
-- chance.
repeated as (

    select
        doubted.*,
        row_number() over (
            partition by doubted._change_id
            order by doubted._ingested_at, doubted._source_file
        ) as _delivery_number
    from (

        {{ cdc_identified(table, bronze, files) | indent(8) }}
        where exists (
            select 1
            from doubtful
            where {{ cdc_key_match(table, 'doubtful', 'identified') }}
        )
        {%- if has_truncates %}
            or identified._op = 'T'
        {%- endif %}

    ) as doubted

),

delivered as (

    select
        {{ cdc_base_columns(table, 'single') | indent(8) }}
    from single
    union all
    select
        {{ cdc_base_columns(table, 'repeated') | indent(8) }}
    from repeated
    where repeated._delivery_number = 1

)
{%- if is_appending %},

{{ cdc_known_changes(table) }}
{%- endif %}

select
    {{ cdc_base_columns(table, 'delivered') | indent(4) }}
from delivered
{%- if is_appending %}
where not exists (
    select 1
    from known
    where known._change_id = delivered._change_id
)
{%- endif %}
{%- endmacro %}


{# CTE `accepted`: the table's files. #}
{% macro cdc_accepted_files(table) -%}
accepted as (

    select distinct
        files_accepted.path,
        files_accepted.epoch,
        files_accepted.ingested_at
    from {{ ops_relation('files_accepted') }} as files_accepted
    where files_accepted.source = {{ sql_text(table.source) }}

)
{%- endmacro %}


{# CTE `landed_keys`: of the rows of these files what tells whether two of them, or one and a row that is
   held, may be the same change. #}
{% macro cdc_landed_keys(table, bronze, files) -%}
landed_keys as (

    select
        {%- for key in table.key %}
        {{ cdc_typed_key(table, 'landed', key) }} as {{ key }},
        {%- endfor %}
        accepted.epoch as _epoch,
        {{ cdc_committed_at(table, 'landed') }} as _committed_at
    from (

        {{ read_bronze(bronze, [table.commit_column] + table.key, files) | indent(8) }}

    ) as landed
    inner join accepted
        on landed._source_file = accepted.path

)
{%- endmacro %}


{# CTE `known`: identities of changes that the table holds and that may have landed again. ranges: in
   which the keys of what landed lie, where that is known. #}
{% macro cdc_known_changes(table, ranges=none) -%}
known as (

    select of_landed_keys._change_id
    from (

        {{ rows_of_keys(
            this, table.key, 'landed_keys', ['_change_id'] + (table.key[:1] if ranges is not none else []),
            alike='_committed_at'
        ) | indent(8) }}

    ) as of_landed_keys
    {%- if ranges is not none %}
    where {{ is_in_ranges('of_landed_keys.' ~ table.key[0], ranges) | indent(4) }}
    {%- endif %}
    {%- if cdc_truncate_files(table) | length > 0 %}
    -- A truncate names no key by which its repetitions could be found.
    union all
    select truncates._change_id
    from {{ this }} as truncates
    where truncates.{{ table.key[0] }} is null
    {%- endif %}

)
{%- endmacro %}


{# Columns of base_dms__<table>, in order. #}
{% macro cdc_base_columns(table, qualifier) -%}
    {%- for column in table.columns %}
{{ qualifier }}.{{ column.name }},
    {%- endfor %}
    {%- for key in table.key %}
{{ qualifier }}._bi_{{ key }},
    {%- endfor %}
{{ qualifier }}._change_id,
{{ qualifier }}._op,
{{ qualifier }}._epoch,
{{ qualifier }}._change_seq,
{{ qualifier }}._committed_at,
{{ qualifier }}._source_file,
{{ qualifier }}._ingested_at
{%- endmacro %}


{# A select of the files' rows, typed and with their identities; `identified` is theirs to filter.
   Rendered where it is read, not named once as a CTE: an engine that holds what is read twice would
   hold all that landed. #}
{% macro cdc_identified(table, bronze, files) -%}
select
    identified.*,
    {{ cdc_change_id(table, 'identified') | indent }} as _change_id
from (

    select
        {%- for column in table.columns %}
        {{ cdc_typed('landed.' ~ column.name, column.data_type) }} as {{ column.name }},
        {%- endfor %}
        {%- for key in table.key %}
        {{ cdc_typed_key(table, 'landed', key, 'bi_') }} as _bi_{{ key }},
        {%- endfor %}
        -- A load without Op is all inserts: DMS leaves the column out unless told.
        case
            when accepted.epoch is not null then 'I'
            else upper(trim(cast(landed.{{ table.op_column }} as varchar)))
        end as _op,
        accepted.epoch as _epoch,
        {{ cdc_landed_sequence(table, 'landed') | indent(8) }} as _change_seq,
        {{ cdc_committed_at(table, 'landed') }} as _committed_at,
        landed._source_file,
        accepted.ingested_at as _ingested_at
    from (

        {{ read_bronze(bronze, cdc_landed_columns(table), files) | indent(8) }}

    ) as landed
    inner join accepted
        on landed._source_file = accepted.path

) as identified
{%- endmacro %}


{# SQL: commit time of a landed row. #}
{% macro cdc_committed_at(table, qualifier) -%}
    {{ utc_timestamp_of_text(qualifier ~ '.' ~ table.commit_column) }}
{%- endmacro %}


{# SQL: sequence of a landed row, NULL where it has none. Blanks are looked for first: to trim a text,
   DuckDB asks of each character what Unicode says of it. #}
{% macro cdc_landed_sequence(table, qualifier) -%}
    {%- set text = 'cast(' ~ qualifier ~ '.' ~ table.sequence_column ~ ' as varchar)' -%}
nullif(case when {{ text }} like '% %' then trim({{ text }}) else {{ text }} end, '')
{%- endmacro %}


{# SQL: a key column of a landed row, or with the prefix its before image, as its declared type. #}
{% macro cdc_typed_key(table, qualifier, key, prefix='') -%}
    {%- for column in table.columns if column.name == key -%}
        {{ cdc_typed(qualifier ~ '.' ~ prefix ~ key, column.data_type) }}
    {%- endfor -%}
{%- endmacro %}


{# Declared type of the first column of a table's key. #}
{% macro cdc_key_type(table) -%}
    {%- do return(
        (table.columns | selectattr('name', 'equalto', table.key[0]) | first).data_type
    ) -%}
{%- endmacro %}


{# Physical columns that a landed file of the table may carry. #}
{% macro cdc_landed_columns(table) -%}
    {%- set names = [table.op_column, table.commit_column, table.sequence_column] -%}
    {%- for column in table.columns -%}{%- do names.append(column.name) -%}{%- endfor -%}
    {%- for key in table.key -%}{%- do names.append('bi_' ~ key) -%}{%- endfor -%}
    {%- do return(names) -%}
{%- endmacro %}


{# One landed column as its declared type. #}
{% macro cdc_typed(column, data_type) -%}
    {%- if data_type == 'timestamp' -%}
        {{ utc_timestamp(column) }}
    {%- else -%}
        cast({{ column }} as {{ data_type }})
    {%- endif -%}
{%- endmacro %}


{# Identity of a change: table, key before, op, commit time, sequence, declared values (the key is one
   of them), and for load rows the epoch. The values belong in it even with a sequence: two different
   rows under one sequence number are a tie that silver must settle by content and count, not by which
   came first. One digest of one text: values are not digested by themselves, which only the few
   changes need whose order is tied (cdc_row_hash). #}
{% macro cdc_change_id(table, qualifier) -%}
    {%- set parts = [sql_text(table.source)] -%}
    {%- for column in table.columns if column.name in table.key -%}
        {# A before image that repeats the key says nothing: with and without it is one change. #}
        {%- set before = 'nullif(' ~ qualifier ~ '._bi_' ~ column.name ~ ', '
            ~ qualifier ~ '.' ~ column.name ~ ')' -%}
        {%- do parts.append(identity_text(before, column.data_type) | trim) -%}
    {%- endfor -%}
    {%- do parts.extend([
        qualifier ~ '._op',
        'cast(' ~ qualifier ~ '._epoch as varchar)',
        qualifier ~ '._change_seq',
        identity_text(qualifier ~ '._committed_at', 'timestamp') | trim,
    ]) -%}
    {%- set texts = [] -%}
    {%- for part in parts -%}{%- do texts.extend([part, 'chr(31)']) -%}{%- endfor -%}
    {{ identity_hex(joined_texts(texts + cdc_row_texts(table.columns, qualifier))) }}
{%- endmacro %}
