{# Configuration of a fact of gold that each run brings level with what changed, in place of building it
   anew. A row is replaced when what it is made of changed, however old it is, and a row that would come
   out the same is left alone; docs/adr/0007 tells why. Called at the head of the model.
     key      the model's unique key: a column, or a list of columns
     void     a column that is never NULL: a row without it only says "this key has no row now"
     reads    models of silver whose newly taken up files say what changed
     follows  facts whose change log says it
     logs     {keys: columns by which others follow this fact, instant: column that dates a change and
              by which the rows of a table that is built anew lie}
   What is said here is kept in the model's `meta`, where fact_scope and fact_readers find it. #}
{% macro incremental_fact(key, void, reads=[], follows=[], logs=none) -%}
    {%- set before = [] -%}
    {%- set after = [] -%}
    {%- if fact_materialization() == 'incremental' -%}
        {%- if logs -%}
            {%- do before.append("{{ log_rebuild(this.identifier) }}") -%}
        {%- endif -%}
        {%- do after.append("{{ mark_fact_built(this.identifier) }}") -%}
        {%- for name in follows -%}
            {%- do after.append("{{ mark_changes_seen('" ~ name ~ "', this.identifier) }}") -%}
        {%- endfor -%}
    {%- endif -%}
    {#- Real time asks what a fact has not taken up, however the fact is built. #}
    {%- for name in reads -%}
        {%- do after.append("{{ mark_pending_seen('" ~ name ~ "', this.identifier) }}") -%}
    {%- endfor -%}
    {{- config(
        materialized=fact_materialization(),
        incremental_strategy=replace_keys_strategy(),
        unique_key=key,
        on_schema_change='append_new_columns',
        pre_hook=before,
        post_hook=after,
        meta={'void_column': void, 'change_log': logs, 'reads': reads, 'follows': follows},
    ) -}}
{%- endmacro %}


{# Fails without: a merge on Athena writes a delete file or a new copy of every data file that it
   touches and is no transaction with the change log; one CTAS a day costs less than it saves. #}
{% macro fact_materialization() -%}
    {{ return(adapter.dispatch('fact_materialization', 'synapse')()) }}
{%- endmacro %}

{% macro default__fact_materialization() -%}
    {%- do return('incremental') -%}
{%- endmacro %}

{% macro athena__fact_materialization() -%}
    {%- do return('table') -%}
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
        ~ " and built.definition = " ~ project_definition() ~ ")"
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


{# The last select of an incremental fact: of the rows of CTE `computed`, those that are not in the table
   as they are; and of each row of the table that was not computed, its key alone. scope: what fact_scope
   said; where it is 'some', only rows that `touched` (an SQL condition on `existing`) names count. #}
{% macro changed_rows(computed, scope, touched=none) -%}
    {%- if not fact_is_incremental() -%}
select * from {{ computed }}
    {{ in_order_of_time(computed) }}
    {%- else -%}
    {%- set keys = config.get('unique_key') -%}
    {%- set keys = [keys] if keys is string else keys -%}
    {%- set stored = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
    {%- set columns = model.columns.values() | list -%}
    {#- Of a few rows, only those that they would replace are read whole. #}
    {%- set existing = this if scope == 'all' else '(' ~ rows_of_keys(
        this, keys, computed, columns | map(attribute='name') | select('in', stored)
    ) ~ ')' -%}
select
    {%- for column in columns %}
    {{ computed }}.{{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ computed }}
left join {{ existing }} as existing
    on {{ same_keys_condition('existing', computed, keys) }}
where existing.{{ keys[0] }} is null
    {%- for column in columns if column.name not in keys %}
        {%- if column.name in stored %}
    or existing.{{ column.name }} is distinct from {{ computed }}.{{ column.name }}
        {%- else %}
    or true
        {%- endif %}
    {%- endfor %}

union all

select
    {%- for column in columns %}
    {{ 'existing.' ~ column.name if column.name in keys
        else 'cast(null as ' ~ column.data_type ~ ')' }} as {{ column.name }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ this }} as existing
left join {{ computed }}
    on {{ same_keys_condition('existing', computed, keys) }}
where {{ computed }}.{{ keys[0] }} is null
        {%- if scope == 'some' %}
    and ({{ touched }})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{# The end of a select that fills a fact anew.
   Fails without: DuckDB knows the least and greatest value of each block of a table and leaves out those
   that a date cannot be in; a join or a grouping leaves the rows in no order, and every date in every
   block. Athena prunes by months and files (layout.sql), and orders a table on one machine. #}
{% macro in_order_of_time(computed) -%}
    {{ return(adapter.dispatch('in_order_of_time', 'synapse')(computed)) }}
{%- endmacro %}

{% macro default__in_order_of_time(computed) -%}{%- endmacro %}

{% macro duckdb__in_order_of_time(computed) -%}
    {%- set log = config.meta_get('change_log') -%}
    {%- if log and not is_unit_test() -%}
order by {{ computed }}.{{ log['instant'] }}
    {%- endif -%}
{%- endmacro %}


{# SQL condition: two relations agree in all columns of a key. #}
{% macro same_keys_condition(left, right, keys) -%}
    {%- for key in keys -%}
    {{ ' and ' if not loop.first }}{{ left }}.{{ key }} = {{ right }}.{{ key }}
    {%- endfor -%}
{%- endmacro %}


{# Post-hook: by which definitions the fact was built. #}
{% macro mark_fact_built(model_name) -%}
    {%- set built = ops_relation('facts_built') -%}
    delete from {{ built }}
    where model = {{ sql_text(model_name) }}
        and definition <> {{ project_definition() }};
    insert into {{ built }}
    select
        {{ sql_text(model_name) }} as model,
        {{ project_definition() }} as definition
    where not exists (
        select 1
        from {{ built }} as known
        where known.model = {{ sql_text(model_name) }}
    )
{%- endmacro %}


{# SQL query: when the files were ingested that a model of silver has taken up and this one has not. #}
{% macro ingested_since(silver_model) -%}
    select pending.ingested_at
    from {{ files_pending(silver_model, this.identifier) }} as pending
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
