{# Reports by date over a fact, which group again only dates of which the fact changed; docs/adr/0007.
   The dates are asked first and named in literals: by literals in a list DuckDB leaves out the blocks of a
   table that hold none of them, and Athena files and months. A join tells the least and greatest date
   alone once there are more than a few, and a union of ranges nothing. #}

{# The dates, as ISO text, that this report must group again: those of which the fact changed since the
   report last saw it, and those of the calendar that the report does not have.
     date_column    of the fact, by which its change log names dates
     own_date       the report's own column of the date
     calendar_date  column of dim_dates that own_date is compared with
     condition      SQL: rows of the report, `existing`, that need not be grouped again
     always         SQL: `dates` of the calendar that must be
     since_first    the report begins with its fact's first date and not with the calendar's #}
{% macro dates_to_group(
    fact, date_column, own_date, calendar_date='date_day', condition='true', always='false',
    since_first=false
) -%}
    {%- set listing -%}
        select pending.key as date_text
        from {{ changes_pending(fact, date_column, this.identifier) }} as pending
        union distinct
        select cast(dates.date_day as varchar) as date_text
        from {{ ref('dim_dates') }} as dates
        where (
                dates.{{ calendar_date }} not in (
                    select existing.{{ own_date }}
                    from {{ this }} as existing
                    where {{ condition }}
                )
                {%- if since_first %}
                and dates.{{ calendar_date }} > coalesce(
                    (select min(existing.{{ own_date }}) from {{ this }} as existing),
                    date '0001-01-01'
                )
                {%- endif %}
            )
            or {{ always }}
    {%- endset -%}
    {%- do return(run_query(listing).columns[0].values() | sort) -%}
{%- endmacro %}


{# SQL condition for `always`: the last date of the calendar. A period is cut off by it, and was by
   another one when as-of was earlier or later. #}
{% macro is_last_date() -%}
    dates.date_day = (select max(latest.date_day) from {{ ref('dim_dates') }} as latest)
{%- endmacro %}


{# ISO dates with so many of the days before and after each. #}
{% macro dates_around(dates, before, after) -%}
    {%- set around = [] -%}
    {%- for date_text in dates -%}
        {%- set date = modules.datetime.date.fromisoformat(date_text) -%}
        {%- for days in range(-before, after + 1) -%}
            {%- do around.append((date + modules.datetime.timedelta(days=days)).isoformat()) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do return(around | unique | sort) -%}
{%- endmacro %}


{# First dates of the days, weeks or months that ISO dates lie in. #}
{% macro periods_of_dates(grain, dates) -%}
    {%- set starts = [] -%}
    {%- for date_text in dates -%}
        {%- set date = modules.datetime.date.fromisoformat(date_text) -%}
        {%- set days = {'day': 0, 'week': date.weekday(), 'month': date.day - 1}[grain] -%}
        {%- do starts.append((date - modules.datetime.timedelta(days=days)).isoformat()) -%}
    {%- endfor -%}
    {%- do return(starts | unique | sort) -%}
{%- endmacro %}


{# All dates of the months that ISO dates lie in. #}
{% macro dates_of_months(dates) -%}
    {%- set all_dates = [] -%}
    {%- for start_text in periods_of_dates('month', dates) -%}
        {%- for date_text in dates_around([start_text], 0, 30)
            if date_text[:7] == start_text[:7] -%}
            {%- do all_dates.append(date_text) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- do return(all_dates) -%}
{%- endmacro %}


{# SQL condition: a date is one of these, given as ISO text.
   Fails without: Athena takes 262,144 characters, and a payment of ten years ago makes a calendar of four
   thousand dates new; Trino prunes by ranges as well as by values, DuckDB does not. #}
{% macro date_is_among(expression, dates) -%}
    {{- adapter.dispatch('date_is_among', 'synapse')(expression, dates) -}}
{%- endmacro %}

{% macro default__date_is_among(expression, dates) -%}
    {%- if dates -%}
        {{ expression }} in (
            {%- for date_text in dates -%}
            date '{{ date_text }}'{{ ', ' if not loop.last }}
            {%- endfor -%}
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{% macro athena__date_is_among(expression, dates) -%}
    {%- set parts = [] -%}
    {%- set alone = [] -%}
    {%- for run in runs_of_dates(dates) -%}
        {%- if run | length > 2 -%}
            {%- do parts.append(
                expression ~ " between date '" ~ run[0] ~ "' and date '" ~ run[-1] ~ "'"
            ) -%}
        {%- else -%}
            {%- do alone.extend(run) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if alone -%}{%- do parts.append(default__date_is_among(expression, alone)) -%}{%- endif -%}
    {{- '(' ~ parts | join(' or ') ~ ')' if parts else 'false' -}}
{%- endmacro %}


{# ISO dates as lists of days that follow each other. #}
{% macro runs_of_dates(dates) -%}
    {%- set runs = [] -%}
    {%- for date_text in dates | unique | sort -%}
        {%- if runs and date_text in dates_around([runs[-1][-1]], 0, 1) -%}
            {%- do runs[-1].append(date_text) -%}
        {%- else -%}
            {%- do runs.append([date_text]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do return(runs) -%}
{%- endmacro %}


{# SQL condition: a period of one of these grains has one of these dates, given as ISO text. #}
{% macro period_is_among(grain_expression, start_expression, grains, dates) -%}
    (
    {%- for grain in grains %}
        {{ 'or ' if not loop.first }}(
            {{ grain_expression }} = {{ sql_text(grain) }}
            and {{ date_is_among(start_expression, periods_of_dates(grain, dates)) }}
        )
    {%- endfor %}
    )
{%- endmacro %}


{# SQL literal up to which, included, a fact must be read to find the earliest value of a column; none
   where all of it must. It is what this model had found when it was last built, so long as the fact
   still has a value that is no later: the least of those is then the least of all, whatever was
   deleted or came late.
     known      SQL: an aggregate of this model's own table that is no earlier than what it found
     condition  SQL: the rows of the fact that count #}
{% macro earliest_bound(relation, column, data_type, known, condition='true') -%}
    {%- if not execute or is_unit_test() or load_relation(this) is none -%}
        {%- do return(none) -%}
    {%- endif -%}
    {%- set text = run_query(
        'select ' ~ canonical_text('known.bound', data_type) ~ ' from (select ' ~ known ~ ' as bound from '
        ~ this ~ ') as known'
    ).rows[0][0] -%}
    {%- if text is none -%}{%- do return(none) -%}{%- endif -%}
    {%- set bound = data_type ~ " '" ~ text ~ "'" -%}
    {%- set found = run_query(
        'select min(' ~ column ~ ') from ' ~ relation ~ ' where ' ~ column ~ ' <= ' ~ bound
        ~ ' and ' ~ condition
    ).rows[0][0] -%}
    {%- do return(none if found is none else bound) -%}
{%- endmacro %}


{# SQL condition: a value is no later than what earliest_bound said; true where it said nothing. #}
{% macro is_within_bound(expression, bound) -%}
    {{ expression ~ ' <= ' ~ bound if bound else 'true' }}
{%- endmacro %}
