{# The declaration of a CDC table as models/bronze/_*__sources.yml gives it, ready for use:
   name, source (as the manifest spells it), key, sequence, op_column, commit_column,
   sequence_column, columns ([{name, data_type}]). Empty while parsing: the graph is not there yet. #}
{% macro cdc_table(table_name, source_name='dms_synapse') -%}
    {%- if not execute -%}{%- do return({}) -%}{%- endif -%}
    {%- set nodes = graph.sources.values()
        | selectattr('source_name', 'equalto', source_name)
        | selectattr('name', 'equalto', table_name)
        | list -%}
    {%- if nodes | length == 0 or not nodes[0].config.meta.get('cdc') -%}
        {%- do exceptions.raise_compiler_error(
            'No CDC declaration of ' ~ source_name ~ '.' ~ table_name
            ~ ': add the table with config.meta.cdc to models/bronze/_dms__sources.yml'
        ) -%}
    {%- endif -%}
    {%- set node = nodes[0] -%}
    {%- set cdc = node.config.meta.cdc -%}
    {%- set columns = [] -%}
    {%- for column in node.columns.values() -%}
        {%- do columns.append({'name': column.name, 'data_type': column.data_type | lower}) -%}
    {%- endfor -%}
    {%- set source_schema = node.source_meta.get('source_schema')
        or node.config.meta.get('source_schema') -%}
    {%- do return({
        'name': table_name,
        'source': 'dms.' ~ source_schema ~ '.' ~ table_name,
        'key': cdc.key,
        'sequence': cdc.sequence,
        'op_column': cdc.get('op_column', 'Op'),
        'commit_column': cdc.get('commit_column', 'dms_committed_at'),
        'sequence_column': cdc.get('sequence_column', 'dms_change_seq'),
        'columns': columns,
    }) -%}
{%- endmacro %}


{# Names of a declared table's columns. #}
{% macro cdc_column_names(table) -%}
    {%- do return(table.columns | map(attribute='name') | list) -%}
{%- endmacro %}


{# Joins one relation's key columns to another's. #}
{% macro cdc_key_match(table, left, right) -%}
    {%- for key in table.key -%}
        {{ left }}.{{ key }} = {{ right }}.{{ key }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{# The key columns, qualified, as a comma-separated list. #}
{% macro cdc_keys(table, qualifier='', prefix='') -%}
    {%- for key in table.key -%}
        {{ qualifier ~ '.' if qualifier }}{{ prefix }}{{ key }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{# SQL: a declared table's columns where nothing but the key has a value. #}
{% macro cdc_columns_without_values(table, relation) -%}
    {%- for column in table.columns %}
    {% if column.name in table.key %}{{ relation }}.{{ column.name }}{% else -%}
    cast(null as {{ column.data_type }}) as {{ column.name }}{% endif %}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{# The texts that, one behind the other, tell what a row declares: a tag and the value of each column that
   has one, so that a column declared later does not change the identity of rows that never carried it.
   Texts name their length, so no two rows share one text. A tag is made of the column's name, which
   itself would be a third of what is digested. #}
{% macro cdc_row_texts(columns, qualifier) -%}
    {%- set texts = [] -%}
    {%- for column in columns -%}
        {%- set name = qualifier ~ '.' ~ column.name -%}
        {%- set has_value = 'case when ' ~ name ~ ' is not null then ' -%}
        {%- do texts.append(has_value ~ "';" ~ local_md5(column.name)[:4] ~ "' end") -%}
        {%- if column.data_type == 'varchar' -%}
            {%- do texts.append('cast(length(' ~ name ~ ') as varchar)') -%}
            {%- do texts.append(has_value ~ "':' end") -%}
        {%- endif -%}
        {%- do texts.append(identity_text(name, column.data_type) | trim) -%}
    {%- endfor -%}
    {%- do return(texts) -%}
{%- endmacro %}


{# Digest of what a row declares: the last that decides between tied changes but for their identity, and
   what tells whether a reload changed a row. #}
{% macro cdc_row_hash(columns, qualifier) -%}
    {{ digest_hex(joined_texts(cdc_row_texts(columns, qualifier))) }}
{%- endmacro %}
