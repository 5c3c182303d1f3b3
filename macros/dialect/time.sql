{# Name of the business time zone (R1). Configuration of the deployment, so an environment variable. #}
{% macro business_timezone() -%}
    {%- do return(env_var('SYNAPSE_BUSINESS_TIMEZONE', 'America/Sao_Paulo')) -%}
{%- endmacro %}


{# R1: wall-clock time in the business time zone of a naive UTC timestamp.
   Fails without: DuckDB and PostgreSQL swap zones with timezone(zone, value), Trino has no such
   function, and Redshift's takes (from, to, value); `at time zone` on a naive value means "interpret
   as" on DuckDB and "convert to" on Trino, three hours apart in both directions. #}
{% macro business_timestamp(column) -%}
    {{ return(adapter.dispatch('business_timestamp', 'synapse')(column)) }}
{%- endmacro %}

{% macro default__business_timestamp(column) -%}
    timezone({{ sql_text(business_timezone()) }}, timezone('UTC', {{ column }}))
{%- endmacro %}

{% macro athena__business_timestamp(column) -%}
    cast(
        at_timezone(with_timezone({{ column }}, 'UTC'), {{ sql_text(business_timezone()) }})
        as timestamp(6)
    )
{%- endmacro %}

{% macro redshift__business_timestamp(column) -%}
    convert_timezone('UTC', {{ sql_text(business_timezone()) }}, {{ column }})
{%- endmacro %}


{# R1: business date of a naive UTC timestamp. #}
{% macro business_date(column) -%}
    cast({{ business_timestamp(column) }} as date)
{%- endmacro %}


{# A date so many days later (earlier when negative).
   Fails without: Trino has no `date + integer`, DuckDB and PostgreSQL have no date_add('day', …), and
   `date + interval` is a timestamp on PostgreSQL and DuckDB. #}
{% macro date_add_days(date_expression, days) -%}
    {{ return(adapter.dispatch('date_add_days', 'synapse')(date_expression, days)) }}
{%- endmacro %}

{% macro default__date_add_days(date_expression, days) -%}
    cast({{ date_expression }} + ({{ days }}) * interval '1 day' as date)
{%- endmacro %}

{% macro duckdb__date_add_days(date_expression, days) -%}
    cast({{ date_expression }} + cast({{ days }} as integer) as date)
{%- endmacro %}

{% macro athena__date_add_days(date_expression, days) -%}
    date_add('day', {{ days }}, {{ date_expression }})
{%- endmacro %}

{% macro redshift__date_add_days(date_expression, days) -%}
    cast(dateadd(day, {{ days }}, {{ date_expression }}) as date)
{%- endmacro %}


{# The same of a column that is text as a rule; blank is NULL.
   Fails without: nothing, but DuckDB casts to a timestamp with a zone, and trims, at four times the cost
   of looking whether the text is just as DMS writes it and has no zone to lose. #}
{% macro utc_timestamp_of_text(column) -%}
    {{ return(adapter.dispatch('utc_timestamp_of_text', 'synapse')(column)) }}
{%- endmacro %}

{% macro default__utc_timestamp_of_text(column) -%}
    {{ utc_timestamp("nullif(trim(cast(" ~ column ~ " as varchar)), '')") }}
{%- endmacro %}

{% macro duckdb__utc_timestamp_of_text(column) -%}
    case
        {%- set digit = '[0-9]' %}
        {#- A glob: half the time of a regular expression, and every change is asked twice. #}
        when cast({{ column }} as varchar) glob '
            {{- digit * 4 }}-{{ digit * 2 }}-{{ digit * 2 }} {{ digit * 2 }}:{{ digit * 2 }}:
            {{- digit * 2 }}.{{ digit * 6 }}'
            then cast({{ column }} as timestamp)
        else {{ default__utc_timestamp_of_text(column) }}
    end
{%- endmacro %}


{# A bronze time in any physical form (DMS string, timestamp, UTC-adjusted timestamp) as a naive UTC
   timestamp with microseconds.
   Fails without: DuckDB's cast of a string with an offset to timestamp drops the offset, and Trino
   refuses both the 'T' of ISO 8601 and a cast of a string to timestamp that carries a zone. On DuckDB
   this needs the session's TimeZone to be UTC, which on-run-start checks. #}
{% macro utc_timestamp(column) -%}
    {{ return(adapter.dispatch('utc_timestamp', 'synapse')(column)) }}
{%- endmacro %}

{% macro default__utc_timestamp(column) -%}
    timezone('UTC', cast({{ column }} as timestamptz))
{%- endmacro %}

{# Through microseconds: a third of the time of timezone('UTC', …), which asks the calendar again. What is
   a naive timestamp is one already; typeof is settled when the query is planned. #}
{% macro duckdb__utc_timestamp(column) -%}
    case typeof({{ column }})
        when 'TIMESTAMP' then cast({{ column }} as timestamp)
        else make_timestamp(epoch_us(cast({{ column }} as timestamptz)))
    end
{%- endmacro %}

{% macro athena__utc_timestamp(column) -%}
    cast(
        at_timezone(
            coalesce(
                try(from_iso8601_timestamp_nanos(
                    replace(cast({{ column }} as varchar), ' ', 'T')
                )),
                with_timezone(try_cast(cast({{ column }} as varchar) as timestamp(6)), 'UTC')
            ),
            'UTC'
        )
        as timestamp(6)
    )
{%- endmacro %}
