{# The epochs of a table whose loads the base model holds, oldest first: [{epoch, instant}], instant
   as text in UTC or none for an epoch that counts as before everything. Few, so they are rendered
   as literals. #}
{% macro cdc_epochs(table) -%}
    {%- if not ops_table_exists('files_accepted') -%}{%- do return([]) -%}{%- endif -%}
    {%- set listing -%}
        select
            files_accepted.epoch,
            {{ canonical_text('min(files_accepted.epoch_at)', 'timestamp') }} as instant
        from {{ ops_relation('files_accepted') }} as files_accepted
        inner join {{ ops_relation('files_seen') }} as base_seen
            on files_accepted.file_id = base_seen.file_id
        where files_accepted.source = {{ sql_text(table.source) }}
            and files_accepted.kind = 'load'
            and base_seen.model = {{ sql_text('base_dms__' ~ table.name) }}
        group by files_accepted.epoch
        order by files_accepted.epoch
    {%- endset -%}
    {%- set epochs = [] -%}
    {%- for row in run_query(listing).rows -%}
        {%- do epochs.append({'epoch': row[0] | int, 'instant': row[1]}) -%}
    {%- endfor -%}
    {%- do return(epochs) -%}
{%- endmacro %}


{# SQL: the epoch that a change committed at this time belongs to; 0 is before any load. #}
{% macro cdc_epoch_of(epochs, committed_at) -%}
    {%- if epochs | length == 0 -%}
        {%- do return('0') -%}
    {%- endif -%}
    case
        {%- for epoch in epochs | reverse %}
        {%- if epoch.instant is none %}
        when true then {{ epoch.epoch }}
        {%- else %}
        when {{ committed_at }} >= timestamp '{{ epoch.instant }}' then {{ epoch.epoch }}
        {%- endif %}
        {%- endfor %}
        else 0
    end
{%- endmacro %}


{# SQL: the instant at which a load row of this epoch became the state of the source. #}
{% macro cdc_instant_of(epochs, epoch) -%}
    {%- set dated = epochs | rejectattr('instant', 'none') | list -%}
    {%- if dated | length == 0 -%}
        {%- do return(cdc_beginning()) -%}
    {%- endif -%}
    case {{ epoch }}
        {%- for known in dated %}
        when {{ known.epoch }} then timestamp '{{ known.instant }}'
        {%- endfor %}
        else {{ cdc_beginning() }}
    end
{%- endmacro %}


{# SQL: the instant of an epoch that counts as before everything. A value, not NULL: intervals must
   stay comparable. #}
{% macro cdc_beginning() -%}
    {%- do return("timestamp '1970-01-01 00:00:00'") -%}
{%- endmacro %}
