{# How DuckDB stores the columns of a model that names its `distinct_texts`: texts of which nearly no two
   rows share one. Those and free text are stored as they are, numbers and times as packed bits. That is
   what DuckDB chooses for most of them, too, but only once it has tried all that it has on every block,
   which is a tenth of the time of a rebuild's statements. Other texts and truths are left to its choice.
   distinct_texts: names of columns, in the model's meta; where there is none, the table is made as the
   adapter makes it. A column that is added later is stored as DuckDB chooses. #}
{% macro duckdb__create_table_as(
    temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none
) -%}
    {%- set distinct_texts = config.meta_get('distinct_texts') -%}
    {%- if distinct_texts is none or temporary or language != 'sql' -%}
        {{ return(dbt.duckdb__create_table_as(
            temporary, relation, compiled_code, language, partitioned_by, sorted_by
        )) }}
    {%- endif -%}
create table {{ relation }} (
    {%- for described in run_query('describe ' ~ compiled_code).rows %}
    {{ adapter.quote(described[0]) }} {{ described[1] }}
        {{- duckdb_compression(described[0], described[1], distinct_texts) }}{{ ',' if not loop.last }}
    {%- endfor %}
);

insert into {{ relation }}
{{ compiled_code }};
{%- endmacro %}


{# The clause that says how a column is compressed; nothing where DuckDB is to find out. #}
{% macro duckdb_compression(name, data_type, distinct_texts) -%}
    {%- set described = model.columns.get(name, {}) -%}
    {%- set is_free_text = described.get('config', {}).get('meta', {}).get('pii') == 'free_text' -%}
    {%- if data_type == 'VARCHAR' and (name in distinct_texts or is_free_text) -%}
        {{ ' using compression uncompressed' }}
    {%- elif modules.re.fullmatch('(TINY|SMALL|BIG)?INT|INTEGER|DATE|TIMESTAMP|DECIMAL.*', data_type) -%}
        {{ ' using compression bitpacking' }}
    {%- endif -%}
{%- endmacro %}
