{# dbt's own macro for the relation that a test judges. Where a schedule judges only what is new
   (judges_since in schedules.yml), a test that finds in some rows only what it finds in all of them reads
   the rows that landed since; of a table of gold those of the last months, where it lies by month, among
   which the newest row is, too. Another test judges all: of a number of rows, of another table's keys. That a new
   row repeats the key of an older one is found by the schedule that judges all.
   In one piece, since dbt gives a test's rendering no macro that this one calls.
   Fails without: each test reads its columns of the whole history, every hour; on DuckDB that is free. #}
{% macro athena__get_where_subquery(relation) -%}
    {%- set conditions = [config.get('where', '')] | select | list -%}
    {%- set since = env_var('DBT_ENV_CUSTOM_ENV_SYNAPSE_JUDGED_FROM', '') if execute else '' -%}
    {%- set test = (model.get('test_metadata') or {}).get('name', '') if since else '' -%}
    {%- if test in (
        'unique', 'not_null', 'columns_are_not_null', 'accepted_values', 'accepted_range',
        'relationships', 'expression_is_true', 'mutually_exclusive_ranges', 'one_open_row_per_key',
        'unique_combination_of_columns', 'expect_compound_columns_to_be_unique',
        'expect_column_values_to_be_in_set', 'expect_column_values_to_be_between',
        'expect_column_values_to_match_regex', 'expect_column_value_lengths_to_equal', 'recent_at_as_of',
    ) -%}
        {%- for node in graph.nodes.values()
            if node.resource_type == 'model' and node.name == relation.identifier -%}
            {%- set partition = (node.config.get('partitioned_by') or [''])[0] -%}
            {#- What landed last may all be late; what is newest is dated so. #}
            {%- if '_ingested_at' in node.columns and test != 'recent_at_as_of' -%}
                {%- do conditions.append("_ingested_at >= timestamp '" ~ since ~ "'") -%}
            {%- elif partition.startswith('month(') -%}
                {%- set column = partition[6:-1] -%}
                {%- set moment = modules.datetime.datetime.strptime(since, '%Y-%m-%d %H:%M:%S') -%}
                {%- set first_date = (moment - modules.datetime.timedelta(days=31)).date() -%}
                {%- do conditions.append(
                    column ~ ' is null or ' ~ column ~ " >= timestamp '" ~ first_date ~ " 00:00:00'"
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if not conditions -%}{%- do return(relation) -%}{%- endif -%}
    {%- set filtered -%}
        (select * from {{ relation }} where ({{ conditions | join(') and (') }})) dbt_subquery
    {%- endset -%}
    {%- do return(filtered) -%}
{%- endmacro %}
