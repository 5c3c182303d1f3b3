{# ops_cdc_ambiguities: changes of one key under one order value, whose order content had to decide.
   Per table the keys of newly landed changes are looked at again, so an hourly run does not scan what
   it has seen. A key without ties is named without a count, which removes what it may have had. #}
{% macro cdc_ambiguities(table_names, source_name='dms_synapse') -%}
    {%- set base_names = [] -%}
    {%- set followers = [] -%}
    {%- for table_name in table_names -%}
        {%- do base_names.append('base_dms__' ~ table_name) -%}
        {%- do followers.append('ops_cdc_ambiguities.' ~ table_name) -%}
        {%- do ref(base_names[-1]) -%} {#- what dbt finds a model to depend on while it parses -#}
    {%- endfor -%}
    {{- config(
        materialized='incremental',
        incremental_strategy=replace_keys_strategy(),
        unique_key=['table_name', 'row_key'],
        on_schema_change='append_new_columns',
        post_hook='{{ mark_pending_seen(' ~ base_names ~ ', ' ~ followers ~ ') }}',
        meta={'void_column': 'tied_count', 'row_columns': ['order_value', 'epoch']},
    ) -}}
    {%- if not execute -%}{%- do return('select 1 as placeholder') -%}{%- endif -%}
    {%- set selects = [] -%}
    {%- for table_name in table_names -%}
        {%- set base_name, follower = base_names[loop.index0], followers[loop.index0] -%}
        {%- set scope = pending_scope(base_name, follower) -%}
        {%- if scope != 'none' -%}
            {%- set table = cdc_table(table_name, source_name) -%}
            {%- do selects.append(cdc_ties(table, ref(base_name), follower, scope)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if selects | length == 0 -%}
        {%- do return('select * from ' ~ this ~ ' where false') -%}
    {%- endif -%}
    {{ selects | join('\nunion all\n') }}
{%- endmacro %}


{# One table's ties, and in an incremental run its single changes without a count. #}
{% macro cdc_ties(table, base, follower, scope) -%}
select
    {{ sql_text(table.name) }} as table_name,
    tie_groups.row_key,
    tie_groups.order_value,
    tie_groups.epoch,
    case when tie_groups.change_count > 1 then tie_groups.change_count end as tied_count,
    tie_groups.operation_count
from (

    with {{ cdc_placed_events(table, base, 'base_dms__' ~ table.name, follower, scope) | indent(4) }}

    select
        {{ cdc_key_text(table, 'placed') }} as row_key,
        case
            when placed._order_seq <> '' then placed._order_seq
            -- Load rows may have neither.
            else coalesce({{ canonical_text('placed._order_at', 'timestamp') }}, '')
        end as order_value,
        cast(placed._epoch as bigint) as epoch,
        count(*) as change_count,
        count(distinct placed._tie_op) as operation_count
    from placed
    group by
        {{ cdc_keys(table, 'placed') }},
        placed._epoch,
        placed._stage,
        placed._order_seq,
        placed._order_at
    {%- if not is_incremental() %}
    having count(*) > 1
    {%- endif %}

) as tie_groups
{%- endmacro %}


{# SQL: a key as one text; the parts of a composite key are joined with a slash. #}
{% macro cdc_key_text(table, qualifier) -%}
    {%- for key in table.key -%}
        cast({{ qualifier }}.{{ key }} as varchar){{ " || '/' || " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
