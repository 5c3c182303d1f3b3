{# SQL condition: the accepted file `files_accepted` has not been read by the model yet. #}
{% macro file_is_unseen(model_name) -%}
    not exists (
        select 1
        from {{ ops_relation('files_seen') }} as files_seen
        where files_seen.model = {{ sql_text(model_name) }}
            and files_seen.file_id = files_accepted.file_id
    )
{%- endmacro %}


{# The accepted files of a source that this model must read now ([{path, layout}]): all of them on a
   first build or a full refresh, else those it has not seen. #}
{% macro files_to_read(source, model_name, unseen_only=false) -%}
    {%- if not ops_table_exists('files_accepted') -%}{%- do return([]) -%}{%- endif -%}
    {%- set listing -%}
        select distinct
            files_accepted.path,
            coalesce(files_accepted.layout, '') as layout
        from {{ ops_relation('files_accepted') }} as files_accepted
        where files_accepted.source = {{ sql_text(source) }}
            {%- if is_incremental() or unseen_only %}
            and {{ file_is_unseen(model_name) }}
            {%- endif %}
        order by files_accepted.path
    {%- endset -%}
    {%- set files = [] -%}
    {%- for row in run_query(listing).rows -%}
        {%- do files.append({'path': row[0], 'layout': row[1] or ''}) -%}
    {%- endfor -%}
    {%- do return(files) -%}
{%- endmacro %}


{# Files cut into as many lists as it takes statements to name them all; at least one, which may be empty. #}
{% macro files_by_statement(files) -%}
    {%- set limit = characters_of_paths() -%}
    {%- set lists = [[]] -%}
    {%- set length = namespace(value=0) -%}
    {%- for file in files -%}
        {%- set of_name = (lake_root() | length) + (file.path | length) + 5 -%}
        {%- if limit is not none and length.value + of_name > limit and lists[-1] | length > 0 -%}
            {%- do lists.append([]) -%}
            {%- set length.value = 0 -%}
        {%- endif -%}
        {%- set length.value = length.value + of_name -%}
        {%- do lists[-1].append(file) -%}
    {%- endfor -%}
    {%- do return(lists) -%}
{%- endmacro %}


{# Appends the rows of a query to the model that a post-hook runs for. #}
{% macro append_to_this(query) -%}
    {%- set names = adapter.get_columns_in_relation(this) | map(attribute='name') | join(', ') -%}
    {%- do run_query(
        'insert into ' ~ this ~ ' (' ~ names ~ ') select ' ~ names ~ ' from (' ~ query ~ ') as further'
    ) -%}
{%- endmacro %}


{# Post-hook of a model that reads files: a full refresh forgets what it and the models fed by it have
   seen, so that they start over too. #}
{% macro forget_files_seen(model_name, feeds=[]) -%}
    {%- if should_full_refresh() -%}
    delete from {{ ops_relation('files_seen') }}
    where model in ({{ sql_texts([model_name] + feeds) }})
    {%- endif -%}
{%- endmacro %}


{# Post-hook of a model that reads files: they are seen, in the transaction that wrote their rows. #}
{% macro mark_files_seen(source, model_name) -%}
    insert into {{ ops_relation('files_seen') }}
    select distinct
        {{ sql_text(model_name) }} as model,
        files_accepted.file_id,
        {{ as_of() }} as seen_at
    from {{ ops_relation('files_accepted') }} as files_accepted
    where files_accepted.source = {{ sql_text(source) }}
        and {{ file_is_unseen(model_name) }}
{%- endmacro %}


{# The same for a CDC table's base model, whose source name comes from the declaration. #}
{% macro cdc_mark_files_seen(table_name, source_name='dms_synapse') -%}
    {%- if execute -%}
        {%- do return(mark_files_seen(
            cdc_table(table_name, source_name).source, 'base_dms__' ~ table_name
        )) -%}
    {%- endif -%}
{%- endmacro %}


{# What reads base_dms__<table> by file, as files_seen names it. #}
{% macro cdc_fed_models(table_name) -%}
    {%- do return([
        'stg_dms__' ~ table_name,
        'hist_dms__' ~ table_name,
        'ops_cdc_ambiguities.' ~ table_name,
    ]) -%}
{%- endmacro %}


{# SQL: files whose rows stand in the base model and that the reading model has not taken up. #}
{% macro files_pending(base_name, model_name) -%}
    (
        select
            files_accepted.file_id,
            files_accepted.path,
            files_accepted.kind,
            files_accepted.ingested_at
        from {{ ops_relation('files_accepted') }} as files_accepted
        inner join {{ ops_relation('files_seen') }} as base_seen
            on files_accepted.file_id = base_seen.file_id
        where base_seen.model = {{ sql_text(base_name) }}
            and {{ file_is_unseen(model_name) }}
    )
{%- endmacro %}


{# Post-hook of a model that follows a base model, or several: a list. readers: the model, as files_seen
   names it, or for each of several bases another name. #}
{% macro mark_pending_seen(base_names, readers) -%}
    {%- set bases = [base_names] if base_names is string else base_names -%}
    insert into {{ ops_relation('files_seen') }}
    {%- for base_name in bases %}
    {%- set reader = readers if readers is string else readers[loop.index0] %}
    select distinct
        {{ sql_text(reader) }} as model,
        pending.file_id,
        {{ as_of() }} as seen_at
    from {{ files_pending(base_name, reader) }} as pending
    {{ 'union distinct' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{# What an incremental run of a model must recompute: 'all' (first build, full refresh, or a load or
   truncate landed, which may move an epoch and empty keys it does not name), 'some' (keys of pending
   files) or 'none'. #}
{% macro pending_scope(base_name, model_name) -%}
    {%- if not execute or not is_incremental() or not ops_table_exists('files_seen') -%}
        {%- do return('all') -%}
    {%- endif -%}
    {%- set counts = run_query(
        "select count(*) as files, "
        ~ "sum(case when pending.kind in ('load', 'truncate') then 1 else 0 end) as sweeping from "
        ~ files_pending(base_name, model_name) ~ ' as pending'
    ).rows[0] -%}
    {%- if counts[0] == 0 -%}{%- do return('none') -%}{%- endif -%}
    {%- do return('all' if counts[1] > 0 else 'some') -%}
{%- endmacro %}


{# When the files that a model has not taken up were accepted: {from, to}, text in UTC. Base models
   are append-only, so these bounds lead past all that an engine holds of older times. #}
{% macro pending_range(base_name, model_name) -%}
    {%- set bounds = run_query(
        'select ' ~ canonical_text('min(pending.ingested_at)', 'timestamp') ~ ' as first_at, '
        ~ canonical_text('max(pending.ingested_at)', 'timestamp') ~ ' as last_at from '
        ~ files_pending(base_name, model_name) ~ ' as pending'
    ).rows[0] -%}
    {%- do return({'from': bounds[0], 'to': bounds[1]}) -%}
{%- endmacro %}
