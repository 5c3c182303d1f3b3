{# R16: the minutes before as-of that real time shows. #}
{% macro real_time_minutes() -%}
    {%- do return(60) -%}
{%- endmacro %}


{# SQL: the first instant that real time shows, a whole minute. #}
{% macro real_time_start() -%}
    {{ timestamp_add_minutes(real_time_end(), -real_time_minutes()) }}
{%- endmacro %}


{# SQL: the instant at which it ends, itself outside: the minute of as-of is not over. #}
{% macro real_time_end() -%}
    date_trunc('minute', {{ as_of() }})
{%- endmacro %}


{# A query of the minutes that real time shows, in column minute_at. #}
{% macro real_time_calendar() -%}
    select
        {{ timestamp_add_minutes(real_time_start(), 'numbers.number') }} as minute_at
    from (
        {{ natural_numbers() }}
    ) as numbers
    where numbers.number < {{ real_time_minutes() }}
{%- endmacro %}


{# A query of the files that silver has taken up and a model of gold has not (R16: "what landed after its
   watermark"): when they were ingested, and whether they are a load or a truncate, which change rows
   that they do not name. By file and not by time, as everything here: see docs/adr/0001. #}
{% macro landed_after(base_name, model_name) -%}
    select
        pending.ingested_at,
        max(case when pending.kind in ('load', 'truncate') then 1 else 0 end) as is_sweeping
    from {{ files_pending(base_name, model_name) }} as pending
    group by pending.ingested_at
{%- endmacro %}


{# Whether landed_after may tell of a load or a truncate, and all rows of the table must be looked at.
   Fails without: Trino reads all of them before it knows that there was none. #}
{% macro may_be_swept(base_name, model_name) -%}
    {{ return(adapter.dispatch('may_be_swept', 'synapse')(base_name, model_name)) }}
{%- endmacro %}

{% macro default__may_be_swept(base_name, model_name) -%}
    {%- do return(true) -%}
{%- endmacro %}

{% macro athena__may_be_swept(base_name, model_name) -%}
    {%- if not execute or is_unit_test() -%}{%- do return(true) -%}{%- endif -%}
    {%- set found = run_query(
        'select max(landed.is_sweeping) as is_sweeping from ('
        ~ landed_after(base_name, model_name) ~ ') as landed'
    ) -%}
    {%- do return(found.rows[0][0] == 1) -%}
{%- endmacro %}


{# R2 as a query: who is internal by gold (`users`), or has turned out to be since gold was built
   (`user_changes` of the files in `landed_users`). #}
{% macro internal_users_by_now(users, user_changes, landed_users) -%}
    select user_id
    from {{ users }}
    where is_internal
    union distinct
    select {{ user_changes }}.user_id
    from {{ user_changes }}
    inner join {{ landed_users }}
        on {{ user_changes }}._ingested_at = {{ landed_users }}.ingested_at
    where {{ user_changes }}.is_internal
{%- endmacro %}
