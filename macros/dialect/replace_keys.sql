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


{# Strategy replace_keys: deletes every row whose key the new rows name, then inserts the new rows,
   except those whose `meta.void_column` is NULL: they only say "this key has no row now". The key is
   the model's unique_key, or that of the CDC table in `meta.cdc_table`. #}
{% macro get_incremental_replace_keys_sql(arg_dict) -%}
    {%- set target_relation = arg_dict['target_relation'] -%}
    {%- set temp_relation = arg_dict['temp_relation'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {%- set keys = arg_dict['unique_key'] -%}
    {%- if config.meta_get('cdc_table') -%}
        {%- set keys = cdc_table(config.meta_get('cdc_table'), config.meta_get('cdc_source')).key -%}
    {%- elif keys is string -%}
        {%- set keys = [keys] -%}
    {%- endif -%}
    {%- set void_column = config.meta_get('void_column') -%}
    delete from {{ target_relation }} as existing
    where exists (
        select 1
        from {{ temp_relation }} as replacement
        where
            {%- for key in keys %}
            {{ 'and ' if not loop.first }}replacement.{{ key }} = existing.{{ key }}
            {%- endfor %}
    );

    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }}
    from {{ temp_relation }}
    {%- if void_column %}
    where {{ void_column }} is not null
    {%- endif %}
{%- endmacro %}
