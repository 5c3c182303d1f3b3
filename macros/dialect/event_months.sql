{# In which months the deliveries of an event and of a visitor lie, kept beside the events
   (int_kconnect__event_months): what a random text says nothing of. docs/adr/0014 tells why. #}

{# Materialization of the index.
   Fails without: to find an id in Athena's files all ids are read, five times the bytes of a narrow number;
   DuckDB looks ids up in the events themselves, and keeps no second copy. #}
{% macro index_materialization() -%}
    {{ return(adapter.dispatch('index_materialization', 'synapse')()) }}
{%- endmacro %}

{% macro default__index_materialization() -%}
    {%- do return('view') -%}
{%- endmacro %}

{% macro athena__index_materialization() -%}
    {%- do return('incremental') -%}
{%- endmacro %}

{# Configuration `partitioned_by` of the index, by columns of its own; fails without: as by_month_of. #}
{% macro index_partitions(columns) -%}
    {%- do return(columns if index_materialization() == 'incremental' else none) -%}
{%- endmacro %}

{# Post-hook of the index: as mark_pending_seen, where it is kept. #}
{% macro mark_pending_indexed(base_name, model_name) -%}
    {%- if index_materialization() == 'incremental' -%}
        {{ mark_pending_seen(base_name, model_name) }}
    {%- endif -%}
{%- endmacro %}


{# Months, as ranges of months_where, that what has newly landed of events concerns: {delivered: of all
   deliveries of these events, visited: of all deliveries that name one of their visitors,
   considered: of all deliveries of events that such a one names}. All of them none where nothing is
   gained by naming months. is_considered: whether that is asked for. is_new: as delivered_months.
   Fails without: as value_ranges. #}
{% macro months_concerned(base, index, is_considered=false, is_new=none) -%}
    {{ return(adapter.dispatch('months_concerned', 'synapse')(base, index, is_considered, is_new)) }}
{%- endmacro %}

{% macro default__months_concerned(base, index, is_considered, is_new) -%}
    {%- do return({'delivered': none, 'visited': none, 'considered': none}) -%}
{%- endmacro %}

{# Step by step, so that each is asked of the months that the one before it led to. #}
{% macro athena__months_concerned(base, index, is_considered, is_new) -%}
    {%- set is_new = is_new or is_pending(base, 'newly') -%}
    {%- set new_events -%}
        select newly.event_id
        from {{ base }} as newly
        where {{ is_new }}
    {%- endset -%}
    {%- set delivered_months -%}
        select date_trunc('month', newly.occurred_at) as month_start
        from {{ base }} as newly
        where {{ is_new }}
            and newly.occurred_at is not null
        union all
        {{ scattered_months(index, new_events, 'event_id') }}
        union all
        {{ unknown_months(base.identifier, index.identifier) }}
    {%- endset -%}
    {%- set delivered = month_ranges(delivered_months) -%}
    {%- if delivered is none -%}
        {%- do return(default__months_concerned(base, index, is_considered, is_new)) -%}
    {%- endif -%}
    {%- set visitors -%}
        select delivered.anonymous_id
        from {{ base }} as delivered
        where delivered.event_id in ({{ new_events }})
            and {{ is_in_ranges('delivered.occurred_at', delivered, or_null=true) }}
    {%- endset -%}
    {%- set visited = month_ranges(months_in_index(index, 'visitor', visitors, 'anonymous_id')) -%}
    {%- set considered = visited | list -%}
    {%- if is_considered -%}
        {%- set named -%}
            select named.event_id
            from {{ base }} as named
            where named.anonymous_id in ({{ visitors }})
                and {{ is_in_ranges('named.occurred_at', visited, or_null=true) }}
        {%- endset -%}
        {%- for range in month_ranges(scattered_months(index, named, 'event_id')) if range not in visited -%}
            {%- do considered.append(range) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do return({'delivered': delivered, 'visited': visited, 'considered': considered}) -%}
{%- endmacro %}


{# The same of the rows in a merge's target whose events the new rows name: each lies in the month of its
   new row, unless its deliveries do not lie in one month. index: {name, base}, names of models. #}
{% macro months_replaced(tmp_relation, key, dated_by, index) -%}
    {%- set keys = 'select replacement.' ~ key ~ ' from ' ~ tmp_relation ~ ' as replacement' -%}
    {%- set months -%}
        select date_trunc('month', replacement.{{ dated_by }}) as month_start
        from {{ tmp_relation }} as replacement
        where replacement.{{ dated_by }} is not null
        union all
        {{ scattered_months(ref(index.name), keys, key) }}
        union all
        {{ unknown_months(index.base, index.name) }}
    {%- endset -%}
    {%- do return(month_ranges(months)) -%}
{%- endmacro %}


{# A select of the months that the index has of a kind of ids, which a select names. #}
{% macro months_in_index(index, kind, ids, column) -%}
    select cast(indexed.month_start as timestamp(6)) as month_start
    from {{ index }} as indexed
    where indexed.kind = {{ sql_text(kind) }}
        and indexed.id_number in (
            select {{ narrow_number('searched.' ~ column) }}
            from ({{ ids }}) as searched
        )
{%- endmacro %}

{# The same of events whose deliveries do not lie in one month. #}
{% macro scattered_months(index, ids, column) -%}
    {{ months_in_index(index, 'scattered_event', ids, column) }}
{%- endmacro %}


{# A select of NULL, which stands for any month, where the index has not taken up all that its base model
   holds: somebody runs one of its readers alone. #}
{% macro unknown_months(base_name, index_name) -%}
    select cast(null as timestamp(6)) as month_start
    from {{ files_pending(base_name, index_name) }} as lacking
{%- endmacro %}
