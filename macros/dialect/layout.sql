{# Where the rows of a table lie, and the literals by which a statement leaves alone those that do not
   concern it; docs/adr/0014 tells why. The layout is declared here for all tables: by the month of the
   column that dates a row. A month, since a table of eight years then has fewer than the hundred
   partitions that one statement may write, and since a key's neighbours of a month are its
   neighbours in a file, by whose least and greatest key it is found again. #}

{# Configuration `partitioned_by` of a table whose rows are dated by a column of type date or timestamp.
   Fails without: DuckDB, which has blocks instead of files, takes no such configuration. #}
{% macro by_month_of(column) -%}
    {{ return(adapter.dispatch('by_month_of', 'synapse')(column)) }}
{%- endmacro %}

{% macro default__by_month_of(column) -%}
    {%- do return(none) -%}
{%- endmacro %}

{% macro athena__by_month_of(column) -%}
    {%- do return(['month(' ~ column ~ ')']) -%}
{%- endmacro %}


{# Ranges of values that hold every value of a column of a CTE or relation: [{from, to}], both SQL
   literals and inclusive; few of them, parted where the values lie farthest apart. None where nothing
   is gained by naming them. `ctes`: what the relation is made of, each followed by a comma.
   Fails without: a join tells Athena which rows it wants once the files are open; literals tell it which
   files. DuckDB looks keys up by themselves (rows_of_keys). #}
{% macro value_ranges(relation, column, data_type, ctes='') -%}
    {{ return(adapter.dispatch('value_ranges', 'synapse')(relation, column, data_type, ctes)) }}
{%- endmacro %}

{% macro default__value_ranges(relation, column, data_type, ctes) -%}
    {%- do return(none) -%}
{%- endmacro %}

{# Sixteen to a statement of some ten thousand characters, and more than a busy hour needs. #}
{% macro athena__value_ranges(relation, column, data_type, ctes) -%}
    {%- if data_type not in ('bigint', 'integer', 'int', 'smallint', 'tinyint') -%}
        {%- do return(none) -%}
    {%- endif -%}
    {%- set listing -%}
        with {{ ctes }}

        named as (

            select distinct {{ column }} as value
            from {{ relation }}
            where {{ column }} is not null

        ),

        -- As floating point: two keys may lie farther apart than there are integers.
        spaced as (

            select
                named.value,
                cast(named.value as double)
                - lag(cast(named.value as double)) over (order by named.value) as gap
            from named

        ),

        ordered as (

            select
                spaced.value,
                row_number() over (order by spaced.gap desc nulls first, spaced.value) as gap_place
            from spaced

        ),

        numbered as (

            select
                ordered.value,
                sum(case when ordered.gap_place <= 16 then 1 else 0 end)
                    over (order by ordered.value) as range_number
            from ordered

        )

        select
            cast(min(numbered.value) as varchar) as first_value,
            cast(max(numbered.value) as varchar) as last_value
        from numbered
        group by numbered.range_number
        order by min(numbered.value)
    {%- endset -%}
    {%- set ranges = [] -%}
    {%- for row in run_query(listing).rows -%}
        {%- do ranges.append({'from': row[0] | int, 'to': row[1] | int}) -%}
    {%- endfor -%}
    {%- do return(ranges) -%}
{%- endmacro %}


{# The column by whose month the rows of the model lie together; none where they do not. #}
{% macro dating_column() -%}
    {%- set partitions = config.get('partitioned_by') or [''] -%}
    {%- set month = modules.re.fullmatch('month[(]([a-z_]+)[)]', partitions[0]) -%}
    {%- do return(month.group(1) if month else none) -%}
{%- endmacro %}


{# Ranges, as those of value_ranges, that are the months of a timestamp of the rows of a relation,
   `existing`, that a condition names; none where nothing is gained by naming them. One pass over the
   columns of the condition, in place of one over all columns. A row without a value is in none of
   them: ask is_in_ranges for it.
   Fails without: as value_ranges; texts that are keys lie anywhere. #}
{% macro months_where(relation, dated_by, condition) -%}
    {{ return(adapter.dispatch('months_where', 'synapse')(relation, dated_by, condition)) }}
{%- endmacro %}

{% macro default__months_where(relation, dated_by, condition) -%}
    {%- do return(none) -%}
{%- endmacro %}

{% macro athena__months_where(relation, dated_by, condition) -%}
    {%- set months -%}
        select date_trunc('month', existing.{{ dated_by }}) as month_start
        from {{ relation }} as existing
        where existing.{{ dated_by }} is not null
            and {{ condition }}
    {%- endset -%}
    {%- do return(month_ranges(months)) -%}
{%- endmacro %}


{# Ranges of the months that a select names by their starts (timestamps); none where one is NULL. #}
{% macro month_ranges(months) -%}
    {%- set listing -%}
        select
            cast(cast(months.month_start as date) as varchar) as first_date,
            cast(
                cast(months.month_start + interval '1' month - interval '1' day as date) as varchar
            ) as last_date
        from ({{ months }}) as months
        group by months.month_start
        order by months.month_start
    {%- endset -%}
    {%- set ranges = [] -%}
    {%- for row in run_query(listing).rows -%}
        {%- if row[0] is none -%}{%- do return(none) -%}{%- endif -%}
        {%- do ranges.append({
            'from': "timestamp '" ~ row[0] ~ " 00:00:00'",
            'to': "timestamp '" ~ row[1] ~ " 23:59:59.999999'",
        }) -%}
    {%- endfor -%}
    {%- do return(ranges) -%}
{%- endmacro %}


{# The same of a small relation that names a column's values, and in literals of the column's type. #}
{% macro months_of(relation, column, data_type='timestamp') -%}
    {%- set ranges = months_where(relation, column, 'true') -%}
    {%- if ranges is none or data_type != 'date' -%}{%- do return(ranges) -%}{%- endif -%}
    {%- set dates = [] -%}
    {%- for range in ranges -%}
        {%- do dates.append({'from': date_of_moment(range.from), 'to': date_of_moment(range.to)}) -%}
    {%- endfor -%}
    {%- do return(dates) -%}
{%- endmacro %}


{# The literal of a date, of that of a timestamp. #}
{% macro date_of_moment(literal) -%}
    {%- do return(literal[:21] | replace('timestamp', 'date') ~ "'") -%}
{%- endmacro %}


{# SQL condition: a row of a base model is of a file that this model has not taken up. #}
{% macro is_pending(base, qualifier) -%}
    {%- set range = pending_range(base.identifier, this.identifier) -%}
    {{ qualifier }}._ingested_at between timestamp '{{ range.from }}' and timestamp '{{ range.to }}'
        and {{ qualifier }}._ingested_at in (
            select pending.ingested_at
            from {{ files_pending(base.identifier, this.identifier) }} as pending
        )
{%- endmacro %}


{# Months, as those of months_where, of all deliveries of what is newly delivered in a base model.
   is_new: SQL condition on `newly`, its rows that this model has not taken up. #}
{% macro delivered_months(base, id_column, dated_by, is_new=none) -%}
    {%- set condition -%}
        existing.{{ id_column }} in (
            select newly.{{ id_column }}
            from {{ base }} as newly
            where {{ is_new or is_pending(base, 'newly') }}
        )
    {%- endset -%}
    {%- do return(months_where(base, dated_by, condition)) -%}
{%- endmacro %}


{# SQL condition: an expression lies in one of the ranges of value_ranges, or is NULL where that counts.
   Another condition says which rows are meant; this one only says which they cannot be. #}
{% macro is_in_ranges(expression, ranges, or_null=false) -%}
    {%- if ranges is none -%}
        true
    {%- else -%}
        (
        {{ expression ~ ' is null' if or_null else 'false' }}
        {%- for range in ranges %}
        or {{ expression }} between {{ range.from }} and {{ range.to }}
        {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}


{# SQL condition: a row lies where bounds say: {column, ranges, or_null}, as is_in_ranges takes them; none
   where nothing is said. #}
{% macro is_in_bounds(qualifier, bounds) -%}
    {%- if bounds is none -%}true{%- else -%}
    {{ is_in_ranges(qualifier ~ '.' ~ bounds.column, bounds.ranges, bounds.or_null) }}
    {%- endif -%}
{%- endmacro %}
