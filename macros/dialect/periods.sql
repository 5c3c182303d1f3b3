{# Whole days, weeks or months from one date to another; both must be first dates of their period.
   Fails without: Redshift spells it datediff(part, …). DuckDB counts boundaries crossed and Trino full
   periods, which agree on first dates of periods only. #}
{% macro periods_between(grain, start_date, end_date) -%}
    {{ return(adapter.dispatch('periods_between', 'synapse')(grain, start_date, end_date)) }}
{%- endmacro %}

{% macro default__periods_between(grain, start_date, end_date) -%}
    date_diff('{{ grain }}', {{ start_date }}, {{ end_date }})
{%- endmacro %}

{# Days as a difference: half the cost of date_diff, which DuckDB calls row by row. #}
{% macro duckdb__periods_between(grain, start_date, end_date) -%}
    {%- if grain == 'day' -%}
        (cast({{ end_date }} as date) - cast({{ start_date }} as date))
    {%- else -%}
        {{ synapse.default__periods_between(grain, start_date, end_date) }}
    {%- endif -%}
{%- endmacro %}

{% macro redshift__periods_between(grain, start_date, end_date) -%}
    datediff({{ grain }}, {{ start_date }}, {{ end_date }})
{%- endmacro %}


{# The first date of the period that begins so many days, weeks or months after a first date.
   Fails without: Trino has no `date + integer * interval` of one unit for all grains, DuckDB no
   date_add('week', …), and DuckDB's `date + interval` is a timestamp. #}
{% macro date_add_periods(grain, start_date, periods) -%}
    {{ return(adapter.dispatch('date_add_periods', 'synapse')(grain, start_date, periods)) }}
{%- endmacro %}

{% macro default__date_add_periods(grain, start_date, periods) -%}
    cast({{ start_date }} + ({{ periods }}) * interval '1 {{ grain }}' as date)
{%- endmacro %}

{% macro athena__date_add_periods(grain, start_date, periods) -%}
    date_add('{{ grain }}', {{ periods }}, {{ start_date }})
{%- endmacro %}

{% macro redshift__date_add_periods(grain, start_date, periods) -%}
    cast(dateadd({{ grain }}, {{ periods }}, {{ start_date }}) as date)
{%- endmacro %}


{# A naive timestamp so many hours later.
   Fails without: Trino writes the unit outside the quotes and has no interval for a bigint of hours
   in Redshift's spelling. #}
{% macro timestamp_add_hours(timestamp_expression, hours) -%}
    {{ return(adapter.dispatch('timestamp_add_hours', 'synapse')(timestamp_expression, hours)) }}
{%- endmacro %}

{% macro default__timestamp_add_hours(timestamp_expression, hours) -%}
    {{ timestamp_expression }} + ({{ hours }}) * interval '1 hour'
{%- endmacro %}

{% macro athena__timestamp_add_hours(timestamp_expression, hours) -%}
    {{ timestamp_expression }} + ({{ hours }}) * interval '1' hour
{%- endmacro %}

{% macro redshift__timestamp_add_hours(timestamp_expression, hours) -%}
    dateadd(hour, {{ hours }}, {{ timestamp_expression }})
{%- endmacro %}


{# A naive timestamp so many minutes later (earlier when negative).
   Fails without: as timestamp_add_hours. #}
{% macro timestamp_add_minutes(timestamp_expression, minutes) -%}
    {{ return(adapter.dispatch('timestamp_add_minutes', 'synapse')(timestamp_expression, minutes)) }}
{%- endmacro %}

{% macro default__timestamp_add_minutes(timestamp_expression, minutes) -%}
    {{ timestamp_expression }} + ({{ minutes }}) * interval '1 minute'
{%- endmacro %}

{% macro athena__timestamp_add_minutes(timestamp_expression, minutes) -%}
    {{ timestamp_expression }} + ({{ minutes }}) * interval '1' minute
{%- endmacro %}

{% macro redshift__timestamp_add_minutes(timestamp_expression, minutes) -%}
    dateadd(minute, {{ minutes }}, {{ timestamp_expression }})
{%- endmacro %}


{# Microseconds since 1970 of a naive UTC timestamp, exact.
   Fails without: Trino's date_diff knows nothing below a millisecond, so gaps and durations would
   be rounded there; DuckDB's epoch() is a double. #}
{% macro epoch_microseconds(timestamp_expression) -%}
    {{ return(adapter.dispatch('epoch_microseconds', 'synapse')(timestamp_expression)) }}
{%- endmacro %}

{% macro default__epoch_microseconds(timestamp_expression) -%}
    epoch_us({{ timestamp_expression }})
{%- endmacro %}

{% macro athena__epoch_microseconds(timestamp_expression) -%}
    cast(
        round(to_unixtime(with_timezone({{ timestamp_expression }}, 'UTC')) * 1e6) as bigint
    )
{%- endmacro %}

{% macro redshift__epoch_microseconds(timestamp_expression) -%}
    datediff(microsecond, timestamp '1970-01-01 00:00:00', {{ timestamp_expression }})
{%- endmacro %}


{# Whole seconds from one naive timestamp to a later one, the fraction cut off.
   Fails without: date_diff('second', …) counts boundaries on DuckDB and full seconds on Trino, and
   `/` between integers is a double on DuckDB and an integer elsewhere. #}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between', 'synapse')(earlier, later)) }}
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    (({{ epoch_microseconds(later) }} - {{ epoch_microseconds(earlier) }}) // 1000000)
{%- endmacro %}

{% macro athena__seconds_between(earlier, later) -%}
    (({{ epoch_microseconds(later) }} - {{ epoch_microseconds(earlier) }}) / 1000000)
{%- endmacro %}

{% macro redshift__seconds_between(earlier, later) -%}
    (({{ epoch_microseconds(later) }} - {{ epoch_microseconds(earlier) }}) / 1000000)
{%- endmacro %}


{# The UTC instant (naive) at which a business date ends (R1). Exact on days of 23 and 25 hours: a
   midnight that a clock change skips counts as the instant of the change, and of a midnight that comes
   twice (Havana, the Azores) the first counts, because the new date begins there.
   Fails without: as business_timestamp, the other way round. Of two midnights DuckDB and PostgreSQL take
   the last and Trino the first. #}
{% macro business_date_end(date_expression) -%}
    {{ return(adapter.dispatch('business_date_end', 'synapse')(date_expression)) }}
{%- endmacro %}

{# How far the clock before the last midnight was past midnight is how much earlier the first one was. #}
{% macro default__business_date_end(date_expression) -%}
    {%- set midnight = "cast(" ~ date_add_days(date_expression, 1) ~ " as timestamp)" -%}
    {%- set last_midnight -%}
    timezone('UTC', timezone({{ sql_text(business_timezone()) }}, {{ midnight }}))
    {%- endset -%}
    least(
        {{ last_midnight }},
        {{ last_midnight }} - (
            {{ business_timestamp(last_midnight ~ " - interval '1 microsecond'") }}
            + interval '1 microsecond' - {{ midnight }}
        )
    )
{%- endmacro %}

{% macro athena__business_date_end(date_expression) -%}
    cast(
        at_timezone(
            with_timezone(
                cast({{ date_add_days(date_expression, 1) }} as timestamp(6)),
                {{ sql_text(business_timezone()) }}
            ),
            'UTC'
        )
        as timestamp(6)
    )
{%- endmacro %}

{% macro redshift__business_date_end(date_expression) -%}
    {%- set midnight = "cast(" ~ date_add_days(date_expression, 1) ~ " as timestamp)" -%}
    {%- set last_midnight -%}
    convert_timezone({{ sql_text(business_timezone()) }}, 'UTC', {{ midnight }})
    {%- endset -%}
    least(
        {{ last_midnight }},
        dateadd(
            microsecond,
            -1 - datediff(
                microsecond,
                {{ midnight }},
                {{ business_timestamp("dateadd(microsecond, -1, " ~ last_midnight ~ ")") }}
            ),
            {{ last_midnight }}
        )
    )
{%- endmacro %}
