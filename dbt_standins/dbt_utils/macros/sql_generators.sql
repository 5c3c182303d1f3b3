{#- The documented key: md5 of the values as text, joined by '-', NULL written as a fixed word. -#}
{% macro generate_surrogate_key(field_list) -%}
    {%- set treats_null_as_empty = var("surrogate_key_treat_nulls_as_empty_strings", false) -%}
    {%- set null_text = "" if treats_null_as_empty else "_dbt_utils_surrogate_key_null_" -%}
    {%- set parts = [] -%}
    {%- for field in field_list -%}
        {%- if not loop.first -%}{%- do parts.append("'-'") -%}{%- endif -%}
        {%- do parts.append(
            "coalesce(cast(" ~ field ~ " as " ~ dbt.type_string() ~ "), '" ~ null_text ~ "')"
        ) -%}
    {%- endfor -%}
    {{ dbt.hash(dbt.concat(parts)) }}
{%- endmacro %}


{#- The columns of a relation, comma separated, but the named ones. -#}
{% macro star(from, relation_alias=none, except=[], prefix="", suffix="", quote_identifiers=true) -%}
    {%- set left_out = except | map("lower") | list -%}
    {%- set columns = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(from) if column.name | lower not in left_out -%}
            {%- set name = adapter.quote(column.name) if quote_identifiers else column.name -%}
            {%- set alias = prefix ~ column.name ~ suffix -%}
            {%- set source_name = (relation_alias ~ "." if relation_alias else "") ~ name -%}
            {%- do columns.append(
                source_name if alias == column.name
                else source_name ~ " as " ~ (adapter.quote(alias) if quote_identifiers else alias)
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ columns | join(",\n    ") if columns else "*" }}
{%- endmacro %}


{#- One row per datepart from start_date up to, not including, end_date: column date_<datepart>. -#}
{% macro date_spine(datepart, start_date, end_date) -%}
    {{ dbt.date_spine(datepart, start_date, end_date) }}
{%- endmacro %}


{#- `group by 1, 2, ... n`. -#}
{% macro group_by(n) -%}
    group by {{ range(1, n + 1) | join(", ") }}
{%- endmacro %}
