{# The key of all pseudonyms, from the environment. Checked only when a model runs: parsing, docs and
   tests need no key. HMAC takes up to 64 bytes as they are; a longer key would have to be hashed
   first, which Jinja cannot do. #}
{% macro pseudonym_key() -%}
    {%- if not execute or flags.WHICH not in ('run', 'build') -%}
        {%- do return('') -%}
    {%- endif -%}
    {%- set key = env_var('SYNAPSE_PSEUDONYM_KEY', '') -%}
    {%- set length = key.encode('utf-8') | length -%}
    {%- if length == 0 -%}
        {%- do exceptions.raise_compiler_error(
            'SYNAPSE_PSEUDONYM_KEY is not set: set it to 16 to 64 random characters, or use'
            ~ ' `synapse run`, which makes and keeps a key for the embedded warehouse'
        ) -%}
    {%- elif length < 16 or length > 64 -%}
        {%- do exceptions.raise_compiler_error(
            'SYNAPSE_PSEUDONYM_KEY has ' ~ length ~ ' bytes: set it to 16 to 64 random characters'
        ) -%}
    {%- endif -%}
    {%- do return(key) -%}
{%- endmacro %}


{# Pre-hook of every model that calls pseudonym(). #}
{% macro prepare_pseudonyms() -%}
    {%- if execute -%}
        {%- do prepare_keyed_hash(pseudonym_key()) -%}
    {%- endif -%}
{%- endmacro %}


{# Keyed pseudonym (HMAC-SHA256) of a personal value: equal values join, nobody without the key can
   find the value by trying all of them, which a plain hash of a CPF would allow. #}
{% macro pseudonym(expression) -%}
    {{ keyed_hash(expression, pseudonym_key()) }}
{%- endmacro %}
