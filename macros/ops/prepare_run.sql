{# on-run-start. Makes the run's own tables, copies new manifest parts into ops.files_accepted (one
   read of the manifest for all models, and one frozen list while the run lasts, even when an ingest
   runs beside it) and fixes as-of. `synapse run` has written ops.run_context before it calls dbt; a
   plain `dbt build` takes the newest as-of that ingest has accepted. #}
{% macro prepare_run() -%}
    {%- if not execute or flags.WHICH not in ('build', 'run', 'snapshot', 'test', 'seed') -%}
        {%- do return('') -%}
    {%- endif -%}
    {%- do prepare_session() -%}
    {%- do create_ops_tables() -%}
    {%- set parts = manifest_parts() -%}
    {%- if parts | length == 0 and flags.WHICH != 'seed' -%}
        {%- do exceptions.raise_compiler_error(
            'No manifest in ' ~ lake_root() ~ '/manifest: run `synapse ingest --lake '
            ~ lake_root() ~ '` first'
        ) -%}
    {%- endif -%}
    {%- do accept_manifest_parts(parts) -%}
    {%- do prune_fact_changes() -%}
    {%- do fix_run_context() -%}
    {%- do return('') -%}
{%- endmacro %}


{# The run's own tables, and their columns, where they are not there yet: a warehouse may be older than a
   column. #}
{% macro create_ops_tables() -%}
    {# Not dbt's create_schema: it opens a transaction that no hook commits. #}
    {%- do run_query('create schema if not exists ' ~ schema_name('ops') | trim) -%}
    {%- set present = ops_columns_present(
        own_tables().keys() | list + recorded_tables().keys() | list
    ) -%}
    {%- for name, columns in own_tables().items() -%}
        {%- if name not in present -%}
            {%- do run_query(create_ops_table(ops_relation(name), columns)) -%}
        {%- else -%}
            {%- set missing = {} -%}
            {%- for column, data_type in columns.items() if column not in present[name] -%}
                {%- do missing.update({column: data_type}) -%}
            {%- endfor -%}
            {%- if missing -%}{%- do add_ops_columns(ops_relation(name), missing) -%}{%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- for name, columns in recorded_tables().items()
        if columns | reject('in', present.get(name, [])) | list -%}
        {%- do run_query(create_recorded_table(ops_relation(name), columns)) -%}
    {%- endfor -%}
{%- endmacro %}


{# Tables that the macros write while a run goes on. #}
{% macro own_tables() -%}
    {%- do return({
        'run_context': {
            'run_id': 'varchar',
            'as_of': 'timestamp',
            'is_backfill': 'boolean',
            'lake': 'varchar',
            'business_timezone': 'varchar',
        },
        'files_accepted': {
            'part': 'varchar',
            'file_id': 'varchar',
            'path': 'varchar',
            'source': 'varchar',
            'kind': 'varchar',
            'epoch': 'bigint',
            'epoch_at': 'timestamp',
            'ingested_at': 'timestamp',
            'as_of': 'timestamp',
            'layout': 'varchar',
        },
        'files_seen': {
            'model': 'varchar',
            'file_id': 'varchar',
            'seen_at': 'timestamp',
        },
        'facts_built': {
            'model': 'varchar',
            'definition': 'varchar',
        },
        'fact_changes': {
            'change_id': 'varchar',
            'model': 'varchar',
            'key_column': 'varchar',
            'key': 'varchar',
            'changed_from': 'timestamp',
        },
        'fact_changes_seen': {
            'reader': 'varchar',
            'model': 'varchar',
            'change_id': 'varchar',
        },
        'snapshots_taken': {
            'snapshot': 'varchar',
            'run_id': 'varchar',
            'taken_at': 'timestamp',
        },
    }) -%}
{%- endmacro %}


{# Tables that the runner copies from the state store (synapse/runner/record.py, whose columns these
   are): empty on a lake that no run was recorded for, so that the marts over them build there too. #}
{% macro recorded_tables() -%}
    {%- do return({
        'recorded_schedule_runs': {
            'run_id': 'varchar',
            'schedule': 'varchar',
            'status': 'varchar',
            'as_of': 'timestamp',
            'started_at': 'timestamp',
            'finished_at': 'timestamp',
        },
        'recorded_ingest_runs': {
            'run_id': 'varchar',
            'state': 'varchar',
            'as_of': 'timestamp',
            'started_at': 'timestamp',
            'finished_at': 'timestamp',
        },
        'recorded_run_sources': {
            'run_id': 'varchar',
            'source': 'varchar',
            'landed': 'bigint',
            'accepted': 'bigint',
            'duplicate': 'bigint',
            'quarantined': 'bigint',
            'pending': 'bigint',
            'files': 'bigint',
        },
        'recorded_schema_drift': {
            'source': 'varchar',
            'column_name': 'varchar',
            'change': 'varchar',
            'physical_type': 'varchar',
            'path': 'varchar',
            'run_id': 'varchar',
            'first_seen': 'timestamp',
            'last_seen': 'timestamp',
        },
        'recorded_quarantine': {
            'id': 'varchar',
            'source': 'varchar',
            'unit': 'varchar',
            'path': 'varchar',
            'number': 'bigint',
            'rule': 'varchar',
            'state': 'varchar',
            'reason': 'varchar',
            'attempts': 'bigint',
            'first_seen': 'timestamp',
            'last_attempt': 'timestamp',
        },
        'recorded_query_costs': {
            'run_id': 'varchar',
            'node_id': 'varchar',
            'queries': 'bigint',
            'charged_queries': 'bigint',
            'failed_queries': 'bigint',
            'cancelled_queries': 'bigint',
            'scanned_bytes': 'bigint',
            'charged_mb': 'bigint',
            'cost_nanodollars': 'bigint',
            'first_submitted_at': 'timestamp',
            'last_ended_at': 'timestamp',
        },
        'recorded_anomalies': {
            'run_id': 'varchar',
            'kind': 'varchar',
            'subject': 'varchar',
            'schedule': 'varchar',
            'observed': 'bigint',
            'median': 'bigint',
            'deviation': 'bigint',
            'points': 'bigint',
            'as_of': 'timestamp',
            'found_at': 'timestamp',
        },
        'recorded_run_gates': {
            'run_id': 'varchar',
            'model': 'varchar',
            'source': 'varchar',
            'needs': 'varchar',
            'reason': 'varchar',
        },
        'recorded_published_sets': {
            'set_id': 'varchar',
            'run_id': 'varchar',
            'number': 'bigint',
            'as_of': 'timestamp',
            'published_at': 'timestamp',
        },
        'recorded_node_runs': {
            'run_id': 'varchar',
            'unique_id': 'varchar',
            'schedule': 'varchar',
            'step': 'varchar',
            'resource_type': 'varchar',
            'name': 'varchar',
            'status': 'varchar',
            'severity': 'varchar',
            'model': 'varchar',
            'column_name': 'varchar',
            'position': 'bigint',
            'attempt': 'bigint',
            'rows_affected': 'bigint',
            'failures': 'bigint',
            'milliseconds': 'bigint',
            'as_of': 'timestamp',
            'started_at': 'timestamp',
        },
        'recorded_source_ages': {
            'run_id': 'varchar',
            'unique_id': 'varchar',
            'source': 'varchar',
            'status': 'varchar',
            'age_seconds': 'bigint',
            'warn_after_seconds': 'bigint',
            'error_after_seconds': 'bigint',
            'max_loaded_at': 'timestamp',
            'as_of': 'timestamp',
            'checked_at': 'timestamp',
        },
    }) -%}
{%- endmacro %}


{# Brings ops.files_accepted level with the manifest's parts. A file is identified by its path and,
   for loads, its epoch: identical bytes may be loaded again in a later epoch. #}
{% macro accept_manifest_parts(parts) -%}
    {%- set accepted = ops_relation('files_accepted') -%}
    {%- if flags.FULL_REFRESH -%}
        {%- do run_query('delete from ' ~ accepted) -%}
    {%- endif -%}
    {%- set root = lake_root() ~ '/' -%}
    {%- set known = run_query('select distinct part from ' ~ accepted).columns[0].values() | list -%}
    {%- set gone = known | reject('in', parts | map('replace', root, '', 1) | list) | list -%}
    {%- set new = [] -%}
    {%- for part in parts if part | replace(root, '', 1) not in known -%}
        {%- do new.append(part) -%}
    {%- endfor -%}
    {# So many names fit into a statement of any engine. #}
    {%- for some in gone | batch(1000) -%}
        {%- do run_query('delete from ' ~ accepted ~ ' where part in (' ~ sql_texts(some) ~ ')') -%}
    {%- endfor -%}
    {%- for some in new | batch(1000) -%}
        {%- set insert_new -%}
            insert into {{ accepted }}
            select
                {{ relative_to_lake('manifest.part') }} as part,
                case
                    when manifest.kind = 'load'
                        then concat(manifest.path, '@', cast(manifest.epoch as varchar))
                    else manifest.path
                end as file_id,
                manifest.path,
                manifest.source,
                manifest.kind,
                manifest.epoch,
                manifest.epoch_at,
                manifest.ingested_at,
                manifest.as_of,
                manifest.layout
            from {{ read_manifest_parts(some) }} as manifest
        {%- endset -%}
        {%- do run_query(insert_new) -%}
    {%- endfor -%}
{%- endmacro %}


{# Run operation of the runner: the single row of ops.run_context, where it cannot write it itself; and
   what is done once a run. as_of: text in UTC. #}
{% macro write_run_context(run_id, as_of, is_backfill) -%}
    {%- do create_ops_tables() -%}
    {%- for name in ('files_seen', 'fact_changes', 'fact_changes_seen') -%}
        {%- do compact_ops_table(ops_relation(name)) -%}
    {%- endfor -%}
    {%- do replace_run_context(run_id, "timestamp '" ~ as_of ~ "'", is_backfill) -%}
{%- endmacro %}


{# Writes the single row of ops.run_context. as_of: SQL. #}
{% macro replace_run_context(run_id, as_of, is_backfill) -%}
    {%- do run_query('delete from ' ~ ops_relation('run_context')) -%}
    {%- set insert_context -%}
        insert into {{ ops_relation('run_context') }}
        select
            {{ sql_text(run_id) }} as run_id,
            {{ as_of }} as as_of,
            {{ 'true' if is_backfill else 'false' }} as is_backfill,
            {{ sql_text(lake_root()) }} as lake,
            {{ sql_text(business_timezone()) }} as business_timezone
    {%- endset -%}
    {%- do run_query(insert_context) -%}
{%- endmacro %}


{# Exactly one row in ops.run_context: the runner's, else one for this plain dbt invocation. #}
{% macro fix_run_context() -%}
    {%- set context_table = ops_relation('run_context') -%}
    {# Not dbt_metadata_envs: a process that runs dbt twice keeps the first run's there. Read while
       executing only, so it is no parse dependency. #}
    {%- set run_id = env_var('DBT_ENV_CUSTOM_ENV_SYNAPSE_RUN_ID', '') -%}
    {%- set present = run_query('select run_id from ' ~ context_table).columns[0].values() -%}
    {%- if run_id -%}
        {%- if present | list != [run_id] -%}
            {%- do exceptions.raise_compiler_error(
                context_table ~ ' does not hold run ' ~ run_id ~ ' alone: the runner writes it before'
                ~ ' it calls dbt. Unset DBT_ENV_CUSTOM_ENV_SYNAPSE_RUN_ID to call dbt yourself'
            ) -%}
        {%- endif -%}
    {%- elif flags.WHICH in ('build', 'run', 'snapshot') or present | length == 0 -%}
        {# Tests judge the run that built the tables, so a plain `dbt test` keeps its as-of. #}
        {%- set newest -%}
            (select max(files_accepted.as_of) from {{ ops_relation('files_accepted') }} as files_accepted)
        {%- endset -%}
        {%- do replace_run_context(invocation_id, newest, false) -%}
    {%- endif -%}
{%- endmacro %}
