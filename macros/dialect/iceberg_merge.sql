{# Shadows dbt-athena's macro of this name, which is called by its incremental materialization: the
   strategies replace_keys and amend_versions as one MERGE. Whatever the new rows say of a key, the
   key's other rows go: those that are not among the new ones are deleted by the same statement, so
   that no reader sees a key half replaced and a repeated run comes to the same end.
   Fails without: dbt-athena's own merge leaves the rows of a key that came out empty or has fewer rows
   than before, and a delete followed by an insert is two commits on Iceberg. #}
{% macro iceberg_merge(
    on_schema_change,
    tmp_relation,
    target_relation,
    unique_key,
    incremental_predicates,
    existing_relation,
    delete_condition,
    update_condition,
    insert_condition,
    force_batch,
    statement_name="main"
) -%}
    {%- set columns = process_schema_changes(on_schema_change, tmp_relation, existing_relation) -%}
    {%- if not columns -%}
        {%- set columns = adapter.get_columns_in_relation(target_relation) -%}
    {%- endif -%}
    {%- set keys = keys_replaced({'unique_key': unique_key}) -%}
    {%- set bounds = merge_bounds(tmp_relation, target_relation, keys, columns) -%}
    {%- if config.meta_get('change_log') -%}
        {%- do run_query(log_replacements(target_relation, tmp_relation)) -%}
    {%- endif -%}
    {#- Killed between two batches, the files are not marked as seen, and the next run does all again. #}
    {%- set batches = merge_batches(tmp_relation, columns, bounds) -%}
    {%- for batch in batches[:-1] -%}
        {%- do run_query(merge_of_batch(batch, tmp_relation, target_relation, columns, keys, bounds)) -%}
    {%- endfor -%}
    {{ return(merge_of_batch(batches[-1], tmp_relation, target_relation, columns, keys, bounds)) }}
{%- endmacro %}


{# The MERGE of some of the new rows: {rows: SQL condition on `replacement`, with_gone: whether it also
   deletes the rows that no new one takes the place of}. #}
{% macro merge_of_batch(batch, tmp_relation, target_relation, columns, keys, bounds) -%}
    {%- set row_key = keys + config.meta_get('row_columns', []) -%}
    {%- set void_column = config.meta_get('void_column') -%}
    {%- set names = columns | map(attribute='name') | list -%}
    merge into {{ target_relation }} as existing
    using (
        select
            {%- for name in names %}
            replacement.{{ name }},
            {%- endfor %}
            false as _is_gone
        from {{ tmp_relation }} as replacement
        where {{ batch.rows }}
        {%- if void_column %}
            and replacement.{{ void_column }} is not null
        {%- endif %}
        {%- if void_column and batch.with_gone %}

        union all

        select
            {%- for column in columns %}
            {% if column.name in row_key %}leftover.{{ column.name }}{% else -%}
            cast(null as {{ trino_type(column.dtype) }}) as {{ column.name }}{% endif %},
            {%- endfor %}
            true as _is_gone
        {%- if row_key == keys %}
        from (
            select distinct {{ keys | join(', ') }}
            from {{ tmp_relation }}
            where {{ void_column }} is null
        ) as leftover
        where
        {%- else %}
        from {{ target_relation }} as leftover
        where exists (
            select 1
            from {{ tmp_relation }} as named
            where {{ same_keys_condition('named', 'leftover', keys) }}
        )
            and {{ is_in_ranges('leftover.' ~ bounds.column, bounds.ranges, bounds.or_null) }}
            and
        {%- endif %} not exists (
                select 1
                from {{ tmp_relation }} as kept
                where kept.{{ void_column }} is not null
                    and {{ same_keys_condition('kept', 'leftover', row_key) }}
            )
        {%- endif %}
    ) as incoming
        on {{ same_keys_condition('existing', 'incoming', row_key) }}
        and {{ is_in_ranges('existing.' ~ bounds.column, bounds.ranges, bounds.or_null) }}
    {%- if void_column and batch.with_gone %}
    when matched and incoming._is_gone then delete
    {%- endif %}
    when matched then update set
        {%- for name in names if name not in row_key %}
        {{ name }} = incoming.{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    when not matched and not incoming._is_gone then insert ({{ names | join(', ') }})
        values (incoming.{{ names | join(', incoming.') }})
{%- endmacro %}


{# As merge_of_batch takes them: all new rows at once, or some months of them where one statement may not
   write so many. Athena opens a hundred partitions at most: a table older than eight years that is
   loaded again meets that. bounds: of merge_bounds, which of some tables are the months already. #}
{% macro merge_batches(tmp_relation, columns, bounds) -%}
    {%- set most = 90 -%}
    {%- set dating = dating_column() -%}
    {%- set months = [] -%}
    {%- if dating -%}
        {%- set dated = columns | selectattr('name', 'equalto', dating) | first -%}
        {%- set months = bounds.ranges if bounds.column == dating
            else months_of(tmp_relation, dating, dated.dtype) -%}
    {%- endif -%}
    {%- if months is none or months | length <= most -%}
        {%- do return([{'rows': 'true', 'with_gone': true}]) -%}
    {%- endif -%}
    {%- set batches = [] -%}
    {%- for some in months | batch(most) -%}
        {%- do batches.append({
            'rows': is_in_ranges('replacement.' ~ dating, some, or_null=loop.first),
            'with_gone': loop.first,
        }) -%}
    {%- endfor -%}
    {%- do return(batches) -%}
{%- endmacro %}


{# Where in the target the rows lie whose keys new rows name: {column, ranges, or_null}, as is_in_ranges
   takes them. A number is found by itself; other keys by the months of the rows, which `meta.index` says
   or a pass over key and date. A row that moved to another month is found where it lies, not where it goes.
   The rows of a fact say both months themselves (rows_that_changed). #}
{% macro merge_bounds(tmp_relation, target_relation, keys, columns) -%}
    {%- if config.meta_get('dated_by') -%}
        {%- set dated = columns | selectattr('name', 'equalto', config.meta_get('dated_by')) | first -%}
        {%- do return({
            'column': dated.name,
            'ranges': months_of(tmp_relation, dated.name, dated.dtype),
            'or_null': true,
        }) -%}
    {%- endif -%}
    {%- set key = columns | selectattr('name', 'equalto', keys[0]) | first -%}
    {%- set ranges = value_ranges(tmp_relation, keys[0], key.dtype) -%}
    {%- set dated_by = dating_column() if ranges is none else none -%}
    {%- if dated_by is none -%}
        {%- do return({'column': keys[0], 'ranges': ranges, 'or_null': false}) -%}
    {%- endif -%}
    {%- if config.meta_get('index') -%}
        {%- do return({
            'column': dated_by,
            'ranges': months_replaced(tmp_relation, keys[0], dated_by, config.meta_get('index')),
            'or_null': true,
        }) -%}
    {%- endif -%}
    {%- set named -%}
        exists (
            select 1
            from {{ tmp_relation }} as replacement
            where {{ same_keys_condition('replacement', 'existing', keys) }}
        )
    {%- endset -%}
    {%- do return({
        'column': dated_by,
        'ranges': months_where(target_relation, dated_by, named),
        'or_null': true,
    }) -%}
{%- endmacro %}


{# Trino's name in a query of a type as Glue's catalogue spells it. #}
{% macro trino_type(glue_type) -%}
    {%- do return({
        'string': 'varchar',
        'int': 'integer',
        'float': 'real',
        'timestamp': 'timestamp(6)',
    }.get(glue_type, glue_type)) -%}
{%- endmacro %}
