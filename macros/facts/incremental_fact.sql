{# Configuration of a fact of gold that each run brings level with what changed, in place of building it
   anew. A row is replaced when what it is made of changed, however old it is, and a row that would come
   out the same is left alone; docs/adr/0007 tells why. Called at the head of the model.
     key      the model's unique key: a column, or a list of columns
     void     a column that is never NULL: a row without it only says "this key has no row now"
     dated_by column by whose month the rows lie together (layout.sql)
     reads    models whose newly taken up files say what changed
     follows  facts whose change log says it
     logs     {keys: columns by which others follow this fact, instant: column that dates a change and
              by which the rows of a table that is built anew lie}
     asks     a model of a few rows; the fact is computed whole where it has others than before
   What is said here is kept in the model's `meta`, where fact_scope and fact_readers find it. #}
{% macro incremental_fact(key, void, dated_by, reads=[], follows=[], logs=none, asks=none) -%}
    {%- set before = [] -%}
    {%- set after = ["{{ mark_fact_built(this.identifier) }}"] -%}
    {%- if logs -%}
        {%- do before.append("{{ log_rebuild(this.identifier) }}") -%}
    {%- endif -%}
    {%- if logs or follows -%}
        {#- What it has logged itself stands in the table by now. #}
        {%- do after.append(
            '{{ mark_changes_seen(' ~ follows ~ ', this.identifier, ' ~ (logs is not none) ~ ') }}'
        ) -%}
    {%- endif -%}
    {%- if reads -%}
        {%- do after.append('{{ mark_pending_seen(' ~ reads ~ ', this.identifier) }}') -%}
    {%- endif -%}
    {{- config(
        materialized='incremental',
        incremental_strategy=replace_keys_strategy(),
        unique_key=key,
        partitioned_by=by_month_of(dated_by),
        on_schema_change='append_new_columns',
        pre_hook=before,
        post_hook=after,
        meta={
            'void_column': void,
            'dated_by': dated_by,
            'change_log': logs,
            'reads': reads,
            'follows': follows,
            'asks': asks,
        },
    ) -}}
{%- endmacro %}


{# What a run of the fact must look at: 'all' (built for the first time or anew, a definition changed, a
   load or truncate landed, or a fact that it follows was built anew) or 'some' (what changed). #}
{% macro fact_scope() -%}
    {%- if not execute or not fact_is_incremental() or not ops_table_exists('fact_changes') -%}
        {%- do return('all') -%}
    {%- endif -%}
    {%- set reasons = [
        "select 1 where not exists (select 1 from " ~ ops_relation('facts_built')
        ~ " as built where built.model = " ~ sql_text(this.identifier)
        ~ " and built.definition = " ~ fact_definition() ~ ")"
    ] -%}
    {%- for name in config.meta_get('reads') -%}
        {%- do reasons.append(
            "select 1 from " ~ files_pending(name, this.identifier)
            ~ " as pending where pending.kind in ('load', 'truncate')"
        ) -%}
    {%- endfor -%}
    {%- for name in config.meta_get('follows') -%}
        {%- do reasons.append(
            "select 1 from " ~ changes_pending(name, '*', this.identifier) ~ " as pending"
        ) -%}
    {%- endfor -%}
    {%- set found = run_query('select count(*) from (' ~ reasons | join(' union all ') ~ ') as reasons') -%}
    {%- do return('all' if found.rows[0][0] > 0 else 'some') -%}
{%- endmacro %}


{# SQL condition: two relations agree in all columns of a key. #}
{% macro same_keys_condition(left, right, keys) -%}
    {%- for key in keys -%}
    {{ ' and ' if not loop.first }}{{ left }}.{{ key }} = {{ right }}.{{ key }}
    {%- endfor -%}
{%- endmacro %}


{# SQL literal: one text for all that this fact is made by and that no change log names. #}
{% macro fact_definition() -%}
    {%- set asked = config.meta_get('asks') -%}
    {%- if not asked -%}{%- do return(project_definition()) -%}{%- endif -%}
    {%- set answers = [] -%}
    {%- for row in run_query('select * from ' ~ ref(asked)).rows -%}
        {%- do answers.append(row.values() | join(' ')) -%}
    {%- endfor -%}
    {%- do return(sql_text(local_md5(project_definition() ~ answers | sort | join('\n')))) -%}
{%- endmacro %}


{# Post-hook: by which definitions the fact was built; nothing where that is known already. #}
{% macro mark_fact_built(model_name) -%}
    {%- if execute -%}
    {%- set built = ops_relation('facts_built') -%}
    {%- set definition = fact_definition() -%}
    {%- set known = run_query(
        'select built.definition from ' ~ built ~ ' as built where built.model = ' ~ sql_text(model_name)
    ).columns[0].values() | map('string') | map('trim') | list -%}
    {%- if known != [definition | replace("'", '')] -%}
        {#- Two statements: Athena takes one at a time. Killed between them, it is computed whole again. #}
        {%- do run_query('delete from ' ~ built ~ ' where model = ' ~ sql_text(model_name)) -%}
    insert into {{ built }}
    select
        {{ sql_text(model_name) }} as model,
        {{ definition }} as definition
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{# SQL condition: the row of a base model came with a file that another model has taken up and this one
   has not. Named by the moment of their acceptance, in literals: base models are append-only, so that
   most of their blocks and files are left alone. #}
{% macro landed_since(taken_up_by, column='_ingested_at') -%}
    {%- set pending = files_pending(taken_up_by, this.identifier) -%}
    {%- set moments = run_query(
        'select distinct ' ~ canonical_text('pending.ingested_at', 'timestamp') ~ ' as ingested_at from '
        ~ pending ~ ' as pending order by ingested_at'
    ).columns[0].values() | list -%}
    {%- if not moments -%}{%- do return('false') -%}{%- endif -%}
    {#- More do not fit into a statement, each some times. #}
    {%- if moments | length > 500 -%}
        {%- do return(
            column ~ " between timestamp '" ~ moments[0] ~ "' and timestamp '" ~ moments[-1] ~ "' and "
            ~ column ~ ' in (select pending.ingested_at from ' ~ pending ~ ' as pending)'
        ) -%}
    {%- endif -%}
    {%- do return(column ~ " in (timestamp '" ~ moments | join("', timestamp '") ~ "')") -%}
{%- endmacro %}


{# A model that only an incremental run reads. dbt must meet the ref when it parses, outside the branch
   that uses it; a unit test, which builds from nothing, need not give its rows. #}
{% macro incremental_ref(name) -%}
    {%- do return('' if is_unit_test() else ref(name)) -%}
{%- endmacro %}


{# As is_incremental; a unit test has no table before, and must not have to say so. #}
{% macro fact_is_incremental() -%}
    {%- do return(not is_unit_test() and is_incremental()) -%}
{%- endmacro %}


{# Whether a unit test is what is rendered. #}
{% macro is_unit_test() -%}
    {%- do return(model.resource_type | default('model') == 'unit_test') -%}
{%- endmacro %}
