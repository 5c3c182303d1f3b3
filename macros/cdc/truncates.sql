{# Paths of a table's files that hold truncates. Few: a table is seldom truncated, and ingest keeps
   truncates in parts of their own. #}
{% macro cdc_truncate_files(table) -%}
    {%- if not ops_table_exists('files_accepted') -%}{%- do return([]) -%}{%- endif -%}
    {%- set listing -%}
        select distinct files_accepted.path
        from {{ ops_relation('files_accepted') }} as files_accepted
        where files_accepted.source = {{ sql_text(table.source) }}
            and files_accepted.kind = 'truncate'
        order by files_accepted.path
    {%- endset -%}
    {%- do return(run_query(listing).columns[0].values() | list) -%}
{%- endmacro %}


{# CTEs `truncates` and `emptied`: every known key is deleted by every truncate of its table, which
   names none. Where content decides the order, that delete is one among the tied. #}
{% macro cdc_truncate_ctes(table, base, truncate_files) -%}
truncates as (

    select
        {{ row_pointer('base_truncates') }} as _pointer,
        base_truncates._change_seq,
        base_truncates._committed_at
    from {{ base }} as base_truncates
    where base_truncates._source_file in ({{ sql_texts(truncate_files) }})
        and base_truncates._op = 'T'

),

-- Of keys that come after it too: to delete what is not there yet changes nothing.
emptied as (

    select
        {{ cdc_keys(table, 'known') }},
        truncates._pointer,
        truncates._change_seq,
        truncates._committed_at
    from (select distinct {{ cdc_keys(table, 'chosen') }} from chosen) as known
    cross join truncates

),
{%- endmacro %}
