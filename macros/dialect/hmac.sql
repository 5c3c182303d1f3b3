{# What has to run on the connection before keyed_hash() works there; a model that uses keyed_hash()
   calls it in a pre-hook. Raises, when a run reaches the model, if no key is set.
   Fails without: a key written into a model's SQL would be published with it (manifest, docs site).
   DuckDB keeps it in a session variable; Athena has none (see athena__keyed_hash). #}
{% macro prepare_keyed_hash(key) -%}
    {{ return(adapter.dispatch('prepare_keyed_hash', 'synapse')(key)) }}
{%- endmacro %}

{% macro default__prepare_keyed_hash(key) -%}{%- endmacro %}

{# HMAC's padded keys (RFC 2104): the key's bytes, filled up to 64 with zeros, xor 36 and xor 5c. #}
{% macro duckdb__prepare_keyed_hash(key) -%}
    {%- set key_bytes = key.encode('utf-8') | list -%}
    {%- set pads = {'inner': 54, 'outer': 92} -%}
    {%- for name, pad in pads.items() -%}
        {%- set digits = [] -%}
        {%- for place in range(64) -%}
            {%- set byte = key_bytes[place] if place < key_bytes | length else 0 -%}
            {%- set bits = namespace(value=0) -%}
            {%- for bit in (1, 2, 4, 8, 16, 32, 64, 128) -%}
                {%- if (byte // bit + pad // bit) % 2 == 1 -%}
                    {%- set bits.value = bits.value + bit -%}
                {%- endif -%}
            {%- endfor -%}
            {%- do digits.append('%02x' % bits.value) -%}
        {%- endfor -%}
        {%- do run_query(
            "set variable pseudonym_" ~ name ~ " = from_hex('" ~ digits | join ~ "')"
        ) -%}
    {%- endfor -%}
{%- endmacro %}


{# HMAC-SHA256 of a text as 64 lower-case hexadecimal digits; NULL stays NULL.
   Fails without: Trino has hmac_sha256 on bytes; DuckDB has SHA-256 only, from which HMAC is made
   here as RFC 2104 defines it, so both give the same pseudonym. #}
{% macro keyed_hash(expression, key) -%}
    {{ return(adapter.dispatch('keyed_hash', 'synapse')(expression, key)) }}
{%- endmacro %}

{% macro default__keyed_hash(expression, key) -%}
    sha256(
        getvariable('pseudonym_outer')
        || from_hex(sha256(getvariable('pseudonym_inner') || encode({{ expression }})))
    )
{%- endmacro %}

{# Athena has no session to keep the key in, so it is a literal, and only while a model runs: what
   `dbt compile` and `dbt docs` publish holds none. Guard the workgroup's query history and the
   artifacts of runs as you guard the key. #}
{% macro athena__keyed_hash(expression, key) -%}
    lower(to_hex(hmac_sha256(to_utf8({{ expression }}), to_utf8({{ sql_text(key) }}))))
{%- endmacro %}
