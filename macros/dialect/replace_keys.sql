{# Name of the incremental strategy that replaces all rows of the keys a model returns.
   Fails without: dbt-athena knows append, insert_overwrite and merge only; DuckDB's delete+insert
   leaves the rows of a key that came out empty (a version undone by a later delete, a message dropped
   from a document), because it deletes and inserts from one and the same set. #}
{% macro replace_keys_strategy() -%}
    {{ return(adapter.dispatch('replace_keys_strategy', 'synapse')()) }}
{%- endmacro %}

{% macro default__replace_keys_strategy() -%}
    {%- do return('replace_keys') -%}
{%- endmacro %}

{% macro athena__replace_keys_strategy() -%}
    {%- do return('merge') -%}
{%- endmacro %}


{# The `unique_key` of a model whose key its CDC table declares (keys_replaced reads it there).
   Fails without: dbt-athena refuses a merge without one before it calls what makes the statement, and
   declarations are not there yet when dbt reads a configuration. #}
{% macro declared_unique_key() -%}
    {{ return(adapter.dispatch('declared_unique_key', 'synapse')()) }}
{%- endmacro %}

{% macro default__declared_unique_key() -%}
    {%- do return(none) -%}
{%- endmacro %}

{% macro athena__declared_unique_key() -%}
    {%- do return('the key that meta.cdc_table declares') -%}
{%- endmacro %}


{# Strategy replace_keys: deletes every row whose key the new rows name, then inserts the new rows,
   except those whose `meta.void_column` is NULL: they only say "this key has no row now". The key is
   the model's unique_key, or that of the CDC table in `meta.cdc_table`. `meta.row_columns` are the
   columns that tell the rows of one key apart, which only a merge needs (iceberg_merge.sql). #}
{% macro get_incremental_replace_keys_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {%- set void_column = config.meta_get('void_column') -%}
    {%- if config.meta_get('change_log') -%}
    {{ log_changes(arg_dict['target_relation'], arg_dict['temp_relation'], keys_replaced(arg_dict)) }}
    {%- endif -%}
    {{ delete_keys(arg_dict['target_relation'], arg_dict['temp_relation'], keys_replaced(arg_dict)) }};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }}
    {%- if void_column %}
    where {{ void_column }} is not null
    {%- endif %}
{%- endmacro %}


{# Name of the incremental strategy of a history of versions.
   Fails without: as replace_keys_strategy. #}
{% macro amend_versions_strategy() -%}
    {{ return(adapter.dispatch('amend_versions_strategy', 'synapse')()) }}
{%- endmacro %}

{% macro default__amend_versions_strategy() -%}
    {%- do return('amend_versions') -%}
{%- endmacro %}

{% macro athena__amend_versions_strategy() -%}
    {%- do return('merge') -%}
{%- endmacro %}


{# Whether a model of that strategy may name a version only to end it: its columns are then changed in
   place. Fails without: a merge writes whole rows, and is no transaction with what marks files as seen,
   so that what is done twice must come out as done once. #}
{% macro versions_can_be_ended() -%}
    {{ return(adapter.dispatch('versions_can_be_ended', 'synapse')()) }}
{%- endmacro %}

{% macro default__versions_can_be_ended() -%}
    {%- do return(true) -%}
{%- endmacro %}

{% macro athena__versions_can_be_ended() -%}
    {%- do return(false) -%}
{%- endmacro %}


{# Strategy amend_versions, of three kinds of rows: without `_version`, all rows of their key are
   deleted; with one but without `_valid_from`, that version of the key ends at `_valid_to`; the others
   are inserted. #}
{% macro get_incremental_amend_versions_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set temp = arg_dict['temp_relation'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {%- set keys = keys_replaced(arg_dict) -%}
    {{ delete_keys(target, temp, keys, 'replacement._version is null') }};

    update {{ target }} as existing
    set
        _is_current = false,
        _valid_to = ended._valid_to
    from {{ temp }} as ended
    where ended._version = existing._version
        and ended._valid_from is null
        {%- for key in keys %}
        and ended.{{ key }} = existing.{{ key }}
        {%- endfor %};

    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ temp }}
    where _valid_from is not null
{%- endmacro %}


{# Columns whose values tell which rows the two strategies replace. #}
{% macro keys_replaced(arg_dict) -%}
    {%- set keys = arg_dict['unique_key'] -%}
    {%- if config.meta_get('cdc_table') -%}
        {%- set keys = cdc_table(config.meta_get('cdc_table'), config.meta_get('cdc_source')).key -%}
    {%- elif keys is string -%}
        {%- set keys = [keys] -%}
    {%- endif -%}
    {%- do return(keys) -%}
{%- endmacro %}


{# A delete of the rows whose key the rows of another relation name, all of them or those meant.
   `using` a relation that names each key once: of a correlated `exists` with a condition of its own,
   DuckDB first collects every key of the target, ten times the cost of the delete. #}
{% macro delete_keys(target, replacements, keys, condition='true') -%}
    delete from {{ target }} as existing
    using (
        select distinct {{ keys | join(', ') }}
        from {{ replacements }} as replacement
        where {{ condition }}
    ) as replaced
    where
        {%- for key in keys %}
        {{ 'and ' if not loop.first }}replaced.{{ key }} = existing.{{ key }}
        {%- endfor %}
{%- endmacro %}
