{# The change log of facts, ops.fact_changes: which keys of an incremental fact have other rows than
   before, and from which instant on. Written by the statement that changes the fact, in its transaction,
   or before it where an engine has none; each fact that follows reads what it has not seen, so that a
   run killed between the two, or one that builds only the first, loses nothing. A fact marks what it
   logged itself as seen once that stands in its table: until then followers see it, and cannot mark it. #}

{# Facts with a change log, and the models that follow each, as incremental_fact was told. #}
{% macro fact_readers() -%}
    {%- set readers = {} -%}
    {%- for node in graph.nodes.values() -%}
        {%- for fact in node.config.meta.get('follows', []) -%}
            {%- do readers.setdefault(fact, []).append(node.name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do return(readers) -%}
{%- endmacro %}


{# SQL: the keys that changed in a fact and that the reader has not seen: key, changed_from (UTC). #}
{% macro changes_pending(fact, key_column, reader) -%}
    (
        select
            fact_changes.key,
            min(fact_changes.changed_from) as changed_from
        from {{ ops_relation('fact_changes') }} as fact_changes
        where fact_changes.model = {{ sql_text(fact) }}
            and fact_changes.key_column = {{ sql_text(key_column) }}
            and {{ change_is_unseen('fact_changes', reader) }}
        group by fact_changes.key
    )
{%- endmacro %}


{# SQL condition: the reader, or where none is named the fact itself, has not seen the change of the row. #}
{% macro change_is_unseen(qualifier, reader=none) -%}
    not exists (
        select 1
        from {{ ops_relation('fact_changes_seen') }} as changes_seen
        where changes_seen.reader = {{ sql_text(reader) if reader else qualifier ~ '.model' }}
            and changes_seen.model = {{ qualifier }}.model
            and changes_seen.change_id = {{ qualifier }}.change_id
    )
{%- endmacro %}


{# Post-hook of a reader of facts. logs: it has a change log itself, whose changes stand in the table now. #}
{% macro mark_changes_seen(facts, reader, logs) -%}
    insert into {{ ops_relation('fact_changes_seen') }}
    {%- if logs %}
    {{ changes_to_mark([reader], reader) }}
    {%- endif %}
    {%- if logs and facts %}
    union all
    {%- endif %}
    {%- if facts %}
    {{ changes_to_mark(facts, reader) }}
        and not {{ change_is_unseen('fact_changes') }}
    {%- endif %}
{%- endmacro %}


{# A select: what the reader has not seen of the changes that models logged. #}
{% macro changes_to_mark(models, reader) -%}
    select distinct
        {{ sql_text(reader) }} as reader,
        fact_changes.model,
        fact_changes.change_id
    from {{ ops_relation('fact_changes') }} as fact_changes
    where fact_changes.model in ({{ sql_texts(models) }})
        and {{ change_is_unseen('fact_changes', reader) }}
{%- endmacro %}


{# Ranges, as those of months_where, of the months of unseen changes of keys; none where nothing is gained
   by naming them. #}
{% macro changed_months(fact, key_column, reader, condition='true') -%}
    {%- do return(months_where(
        ops_relation('fact_changes'),
        'changed_from',
        'existing.model = ' ~ sql_text(fact) ~ ' and existing.key_column = ' ~ sql_text(key_column)
        ~ ' and ' ~ change_is_unseen('existing', reader) ~ ' and ' ~ condition
    )) -%}
{%- endmacro %}


{# Part of the statement that changes a fact: log the keys of the rows replaced and of those put in, as
   text, in one pass over the fact. #}
{% macro log_changes(target, replacements, keys) -%}
    {%- set rows -%}
            {{ rows_to_log('existing') }}
            from {{ target }} as existing
            inner join {{ replacements }} as replacement
                on {{ same_keys_condition('existing', 'replacement', keys) }}
            union all
            {{ rows_to_log('replacement') }}
            from {{ replacements }} as replacement
            where replacement.{{ config.meta_get('void_column') }} is not null
    {%- endset -%}
    {{ log_rows(target, rows) }};
{%- endmacro %}


{# A statement of its own before the merge that changes a fact: as log_changes, from rows that say of each
   row replaced what the log needs of it (rows_that_changed). One instant for each month, since a key's rows
   may lie in months far apart. #}
{% macro log_replacements(target, replacements) -%}
    {%- set rows -%}
            {{ rows_to_log('replacement') }}
            from {{ replacements }} as replacement
    {%- endset -%}
    {{ log_rows(target, rows, apart_by="date_trunc('month', changed.changed_from)") }}
{%- endmacro %}


{# The head of a select of what log_rows takes: the columns by which others follow this fact, as text, and
   `changed_from`. #}
{% macro rows_to_log(qualifier) -%}
    {%- set log = config.meta_get('change_log') -%}
            select
                {%- for key_column in log['keys'] %}
                cast({{ qualifier }}.{{ key_column }} as varchar) as {{ key_column }},
                {%- endfor %}
                {{ qualifier }}.{{ log['instant'] }} as changed_from
{%- endmacro %}


{# An insert into the log: of each key that the rows of a select name, the earliest instant. apart_by: SQL,
   by which instants of a key are kept apart. #}
{% macro log_rows(target, rows, apart_by=none) -%}
    {%- set keys = config.meta_get('change_log')['keys'] -%}
    insert into {{ ops_relation('fact_changes') }}
    select
        {{ sql_text(invocation_id) }} as change_id,
        {{ sql_text(target.identifier) }} as model,
        changed.key_column,
        changed.key,
        min(changed.changed_from) as changed_from
    from (
        select
            logged.key_column,
            case logged.key_column
                {%- for key_column in keys %}
                when {{ sql_text(key_column) }} then changed_row.{{ key_column }}
                {%- endfor %}
            end as key,
            changed_row.changed_from
        from (
            {{ rows }}
        ) as changed_row
        cross join (
            values
            {%- for key_column in keys %}
            ({{ sql_text(key_column) }}){{ ',' if not loop.last }}
            {%- endfor %}
        ) as logged (key_column)
    ) as changed
    where changed.key is not null
    group by
        changed.key_column,
        changed.key
        {%- if apart_by %},
        {{ apart_by }}
        {%- endif %}
{%- endmacro %}


{# Pre-hook of a fact with a log: where it is built anew there is no telling what changes. #}
{% macro log_rebuild(model_name) -%}
    {%- if execute and not is_incremental() -%}
    insert into {{ ops_relation('fact_changes') }}
    select
        {{ sql_text(invocation_id) }} as change_id,
        {{ sql_text(model_name) }} as model,
        '*' as key_column,
        '*' as key,
        cast(null as timestamp) as changed_from
    {%- endif -%}
{%- endmacro %}


{# At the start of a run: what all readers have seen is done with, and so is it for the fact. #}
{% macro prune_fact_changes() -%}
    {%- for fact, followers in fact_readers().items() -%}
        {%- set readers = followers + [fact] -%}
        {%- set condition -%}
            model = {{ sql_text(fact) }} and change_id in (
                select changes_seen.change_id
                from {{ ops_relation('fact_changes_seen') }} as changes_seen
                where changes_seen.model = {{ sql_text(fact) }}
                    and changes_seen.reader in ({{ sql_texts(readers) }})
                group by changes_seen.change_id
                having count(distinct changes_seen.reader) = {{ readers | length }}
            )
        {%- endset -%}
        {%- do run_query('delete from ' ~ ops_relation('fact_changes') ~ ' where ' ~ condition) -%}
    {%- endfor -%}
    {%- do run_query(
        'delete from ' ~ ops_relation('fact_changes_seen') ~ ' where change_id not in (select change_id from '
        ~ ops_relation('fact_changes') ~ ')'
    ) -%}
{%- endmacro %}
