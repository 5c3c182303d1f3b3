{# The first 128 bits of a text's SHA-256 as 32 lower-case hexadecimal digits: no two of 10^15 rows
   are likely to share them, and the whole hash, which nothing compresses, was half of silver's bytes.
   Fails without: Trino hashes bytes, not text, and answers bytes; Redshift takes (text, bits). #}
{% macro digest_hex(expression) -%}
    {{ return(adapter.dispatch('digest_hex', 'synapse')(expression)) }}
{%- endmacro %}

{% macro default__digest_hex(expression) -%}
    substr(sha256({{ expression }}), 1, 32)
{%- endmacro %}

{% macro athena__digest_hex(expression) -%}
    lower(to_hex(substr(sha256(to_utf8({{ expression }})), 1, 16)))
{%- endmacro %}

{% macro redshift__digest_hex(expression) -%}
    substr(sha2({{ expression }}, 256), 1, 32)
{%- endmacro %}


{# A text's MD5 as 32 lower-case hexadecimal digits, for identities that hold key, time and sequence of
   one change: whoever makes two texts of one MD5 gains nothing but that two writings of one row at
   one instant count as one. A third of the time of digest_hex.
   Fails without: Trino hashes bytes, not text, and answers bytes. #}
{% macro identity_hex(expression) -%}
    {{ return(adapter.dispatch('identity_hex', 'synapse')(expression)) }}
{%- endmacro %}

{% macro default__identity_hex(expression) -%}
    md5({{ expression }})
{%- endmacro %}

{% macro athena__identity_hex(expression) -%}
    lower(to_hex(md5(to_utf8({{ expression }}))))
{%- endmacro %}


{# One text of several, one behind the other, of which NULL is nothing. One concat of all of them: chained ||
   copies the text anew at every step, which was half a rebuild's cost.
   Fails without: DuckDB passes over a NULL, of which Trino makes NULL of everything. #}
{% macro joined_texts(texts) -%}
    {{ return(adapter.dispatch('joined_texts', 'synapse')(texts)) }}
{%- endmacro %}

{% macro default__joined_texts(texts) -%}
    {%- do return('concat(\n    ' ~ texts | join(',\n    ') ~ '\n)') -%}
{%- endmacro %}

{% macro athena__joined_texts(texts) -%}
    {%- do return("concat(\n    coalesce(" ~ texts | join(", ''),\n    coalesce(") ~ ", '')\n)") -%}
{%- endmacro %}


{# A number of 40 bits made of a text, which takes six bytes of a file where a random id takes twenty. Two
   of 50 million texts that lie in a table share it with one of 5,000 sought in a quarter of all
   searches: it says where to look, never what is meant.
   Fails without: DuckDB reads hexadecimal digits by a cast, Trino by a function. #}
{% macro narrow_number(expression) -%}
    {{ return(adapter.dispatch('narrow_number', 'synapse')(expression)) }}
{%- endmacro %}

{% macro default__narrow_number(expression) -%}
    cast('0x' || substr({{ identity_hex(expression) }}, 1, 10) as bigint)
{%- endmacro %}

{% macro athena__narrow_number(expression) -%}
    from_base(substr({{ identity_hex(expression) }}, 1, 10), 16)
{%- endmacro %}


{# One text for one value of a declared type, the same on every engine, to be digested and never shown;
   NULL stays NULL. A timestamp is its microseconds: no engine writes a date faster. #}
{% macro identity_text(column, data_type) -%}
    {%- if data_type == 'timestamp' -%}
        cast({{ epoch_microseconds(column) }} as varchar)
    {%- else -%}
        {%- do return(canonical_text(column, data_type)) -%}
    {%- endif -%}
{%- endmacro %}


{# One text for one value of a declared type, the same on every engine; NULL stays NULL.
   Fails without: cast(timestamp as varchar) drops trailing zeros of the fraction on DuckDB and keeps
   six digits on Trino; a double prints as 1.0 on one and 1.0E0 on the other. Hashes of the same row
   would then differ between engines. #}
{% macro canonical_text(column, data_type) -%}
    {%- if data_type == 'timestamp' -%}
        {{ return(adapter.dispatch('timestamp_text', 'synapse')(column)) }}
    {%- elif data_type == 'double' -%}
        {%- do return('cast(cast(' ~ column ~ ' as decimal(38, 10)) as varchar)') -%}
    {%- elif data_type == 'varchar' -%}
        {%- do return(column) -%}
    {%- else -%}
        {%- do return('cast(' ~ column ~ ' as varchar)') -%}
    {%- endif -%}
{%- endmacro %}

{% macro default__timestamp_text(column) -%}
    strftime({{ column }}, '%Y-%m-%d %H:%M:%S.%f')
{%- endmacro %}

{% macro athena__timestamp_text(column) -%}
    cast(cast({{ column }} as timestamp(6)) as varchar)
{%- endmacro %}

{% macro redshift__timestamp_text(column) -%}
    to_char({{ column }}, 'YYYY-MM-DD HH24:MI:SS.US')
{%- endmacro %}
