{# Where the rows lie that a fact has to read: ranges and months as literals, asked for by small queries
   before the statement that needs them (docs/adr/0014). All of them are none on an engine that gains
   nothing by literals, and then nothing is asked. #}

{# Months in which messages of conversations lie that changed in fct_messages and that the reader has not
   seen: of those that silver holds now, and of those that the fact held before. A conversation of the
   product's database is found by its number, a document by its id. #}
{% macro months_of_changed_conversations(reader, messages, documents) -%}
    {%- set changed = changes_pending('fct_messages', 'conversation_id', reader) -%}
    {%- set numbers -%}
        select cast(substr(pending.key, 5) as bigint) as conversation_id
        from {{ changed }} as pending
        where pending.key like 'dms:%'
    {%- endset -%}
    {%- set ranges = value_ranges('(' ~ numbers ~ ')', 'conversation_id', 'bigint') -%}
    {%- set moments -%}
        (
            select stored.sent_at
            from {{ messages }} as stored
            where stored.conversation_id in ({{ numbers }})
                and {{ is_in_ranges('stored.conversation_id', ranges) }}
            union all
            select stored.sent_at
            from {{ documents }} as stored
            where stored.conversation_id in (
                select substr(pending.key, 11)
                from {{ changed }} as pending
                where pending.key like 'documents:%'
            )
            union all
            select logged.changed_from as sent_at
            from {{ ops_relation('fact_changes') }} as logged
            where logged.model = 'fct_messages'
                and logged.key_column = 'conversation_id'
                and {{ change_is_unseen('logged', reader) }}
        )
    {%- endset -%}
    {%- do return(months_of(moments, 'sent_at')) -%}
{%- endmacro %}


{# Where rows of conversations lie that the CTEs of `naming` touch (`touched` by id, `touched_rows` of them
   by number, `touched_documents` by document): bounds of their `rows` and `documents` in silver, of
   their `messages` in fct_messages, and of the fact's own `existing` rows. Ids that are texts are
   found by a pass over id and date. #}
{% macro months_of_conversations(naming, messages, document_messages, documents) -%}
    {%- set by_number = {
        'column': 'conversation_id',
        'ranges': value_ranges('touched_rows', 'conversation_id', 'bigint', naming),
    } -%}
    {%- set with_naming -%}
        with {{ naming }} named as (select 1 as one)
    {%- endset -%}
    {%- set sent -%}
        (
            {{ with_naming }}

            {{ moments_of_conversations(messages, 'sent_at', 'touched_rows') }}
                and {{ is_in_bounds('stored', by_number) }}
            union all
            {{ moments_of_conversations(document_messages, 'sent_at', 'touched_documents') }}
        )
    {%- endset -%}
    {%- set created -%}
        ({{ with_naming }} {{ moments_of_conversations(documents, 'created_at', 'touched_documents') }})
    {%- endset -%}
    {%- set started -%}
        ({{ with_naming }} {{ moments_of_conversations(this, 'started_at', 'touched') }})
    {%- endset -%}
    {%- do return({
        'rows': by_number,
        'documents': {'column': 'created_at', 'ranges': months_of(created, 'created_at'), 'or_null': true},
        'messages': {'column': 'sent_at', 'ranges': months_of(sent, 'sent_at'), 'or_null': true},
        'existing': {
            'column': 'started_at', 'ranges': months_of(started, 'started_at'), 'or_null': true
        },
    }) -%}
{%- endmacro %}


{# A select of the values of a column of rows, `stored`, whose conversations a CTE names; it ends with a
   condition. #}
{% macro moments_of_conversations(relation, column, named) -%}
select stored.{{ column }}
from {{ relation }} as stored
where stored.conversation_id in (select {{ named }}.conversation_id from {{ named }})
{%- endmacro %}


{# Months of the messages of conversations that have one since real time began, however old they are.
   Fails without: as value_ranges; then nothing is asked. #}
{% macro months_of_recent_conversations(messages, documents) -%}
    {{ return(adapter.dispatch('months_of_recent_conversations', 'synapse')(messages, documents)) }}
{%- endmacro %}

{% macro default__months_of_recent_conversations(messages, documents) -%}
    {%- do return(none) -%}
{%- endmacro %}

{% macro athena__months_of_recent_conversations(messages, documents) -%}
    {%- if not execute or is_unit_test() -%}{%- do return(none) -%}{%- endif -%}
    {%- set start = run_query(
        'select ' ~ canonical_text(real_time_start(), 'timestamp') ~ ' as start_at'
    ).rows[0][0] -%}
    {%- set recent %}
recent as (

    select
        stored.conversation_id,
        stored.sent_at
    from {{ messages }} as stored
    where stored.sent_at >= timestamp '{{ start }}'

),
    {%- endset -%}
    {%- set ranges = value_ranges('recent', 'conversation_id', 'bigint', recent) -%}
    {%- set sent %}
(
    with {{ recent }}

    recent_documents as (

        select
            stored.conversation_id,
            stored.sent_at
        from {{ documents }} as stored
        where stored.sent_at >= timestamp '{{ start }}'

    )

    select recent.sent_at
    from recent
    union all
    select recent_documents.sent_at
    from recent_documents
    union all
    {{ moments_of_conversations(messages, 'sent_at', 'recent') }}
        and {{ is_in_ranges('stored.conversation_id', ranges) }}
    union all
    {{ moments_of_conversations(documents, 'sent_at', 'recent_documents') }}
)
    {%- endset -%}
    {%- do return(months_of(sent, 'sent_at')) -%}
{%- endmacro %}


{# {anybody, ranges}: whether somebody turned out to be internal since this fact was built, and where their
   user_ids lie. Once staff, always staff (dim_users), so that a change that does not say so changes nobody. #}
{% macro newly_internal(users_base) -%}
    {%- set landed = landed_since('dim_users') -%}
    {%- if landed == 'false' -%}{%- do return({'anybody': false, 'ranges': []}) -%}{%- endif -%}
    {%- set users -%}
        (select user_id from {{ users_base }} where {{ landed }} and is_internal)
    {%- endset -%}
    {%- set found = run_query('select count(*) from ' ~ users ~ ' as users').rows[0][0] -%}
    {%- if found == 0 -%}{%- do return({'anybody': false, 'ranges': []}) -%}{%- endif -%}
    {%- do return({'anybody': true, 'ranges': value_ranges(users, 'user_id', 'bigint')}) -%}
{%- endmacro %}


{# Months of several lists, each once; none where one of them is none. #}
{% macro months_of_all(lists) -%}
    {%- set months = [] -%}
    {%- for ranges in lists -%}
        {%- if ranges is none -%}{%- do return(none) -%}{%- endif -%}
        {%- for range in ranges if range not in months -%}{%- do months.append(range) -%}{%- endfor -%}
    {%- endfor -%}
    {%- do return(months) -%}
{%- endmacro %}


{# Rows of a table of silver of which a change has landed: {ctes, bounds}: the CTEs of ctes_of_landed_keys,
   and where in a table their keys can only lie. #}
{% macro landed_keys(name, base, key, by) -%}
    {%- set ctes = ctes_of_landed_keys(name, base, key, by) -%}
    {%- do return({
        'ctes': ctes,
        'bounds': {
            'column': key,
            'ranges': value_ranges('touched_' ~ name, key, 'bigint', ctes),
        },
    }) -%}
{%- endmacro %}


{# The CTEs `<name>_changes` and `touched_<name>`, whose column is the key, each followed by a comma.
   by: models that have taken the files up and this one not. #}
{% macro ctes_of_landed_keys(name, base, key, by) -%}
    {%- set landed = [] -%}
    {%- for model in by -%}{%- do landed.append('(' ~ landed_since(model) ~ ')') -%}{%- endfor -%}
{{ name }}_changes as (

    select
        {{ key }},
        _bi_{{ key }}
    from {{ base }}
    where {{ landed | join(' or ') }}

),

touched_{{ name }} as (

    select {{ key }}
    from {{ name }}_changes
    union distinct
    select _bi_{{ key }} as {{ key }}
    from {{ name }}_changes
    where _bi_{{ key }} is not null

),
{%- endmacro %}


{# A select of the values of a column, as `moment`, that the touched keys of landed_keys ever had. #}
{% macro moments_of_keys(name, base, key, column, found) -%}
select changed.{{ column }} as moment
from {{ base }} as changed
where changed.{{ key }} in (select touched_{{ name }}.{{ key }} from touched_{{ name }})
    and {{ is_in_bounds('changed', found.bounds) }}
{%- endmacro %}


{# Text in UTC of the earliest unseen change of keys of a fact, so many minutes earlier; none where there
   is no unseen one. #}
{% macro earliest_change(fact, key_column, reader, minutes_before=0, condition='true') -%}
    {%- set found = run_query(
        'select ' ~ canonical_text(
            timestamp_add_minutes('min(pending.changed_from)', -minutes_before), 'timestamp'
        ) ~ ' as changed_from from ' ~ changes_pending(fact, key_column, reader)
        ~ ' as pending where ' ~ condition
    ) -%}
    {%- do return(found.rows[0][0]) -%}
{%- endmacro %}


{# The same range as those of value_ranges, from a literal on; nothing where there is none. #}
{% macro range_from(literal, last) -%}
    {%- do return([] if literal is none else [{'from': literal, 'to': last}]) -%}
{%- endmacro %}
