{# Query of a snapshot of a CDC table's living rows. The extra column `_snapshot_at` is for the
   timestamp strategy: as-of where the row differs from the snapshot's open row, else that row's own
   time. The source's updated_at will not do: it may stand still on a change, and a reinserted row may
   carry one older than the end of the row it follows, which would make intervals overlap.
   In a backfill the snapshot reads itself, and so changes nothing: neither a version of the past nor
   a row that "vanished" because silver stands at an older as-of. #}
{% macro snapshot_query(table_name, with_snapshot_time=false, source_name='dms_synapse') -%}
    {%- set current_rows = ref('stg_dms__' ~ table_name) -%}
    {%- if not execute -%}{%- do return('select 1 as placeholder') -%}{%- endif -%}
    {%- set table = cdc_table(table_name, source_name) -%}
    {%- set names = cdc_column_names(table) -%}
    {%- set taken = load_relation(this) is not none -%}
    {%- if run_is_backfill() and taken %}
select
    {%- for name in names %}
    open_rows.{{ name }}{{ ',' if with_snapshot_time or not loop.last }}
    {%- endfor %}
    {%- if with_snapshot_time %}
    open_rows.dbt_valid_from as _snapshot_at
    {%- endif %}
from {{ this }} as open_rows
where open_rows.dbt_valid_to is null
    {%- else %}
select
    {%- for name in names %}
    living.{{ name }}{{ ',' if with_snapshot_time or not loop.last }}
    {%- endfor %}
    {%- if with_snapshot_time and taken %}
    case
        when open_rows.dbt_valid_from is null then {{ as_of() }}
        when
            {%- for name in names %}
            {{ 'and ' if not loop.first }}living.{{ name }} is not distinct from open_rows.{{ name }}
            {%- endfor %}
            then open_rows.dbt_valid_from
        -- Later than the row it ends even where two runs share one as-of.
        else greatest({{ as_of() }}, {{ dateadd('millisecond', 1, 'open_rows.dbt_valid_from') }})
    end as _snapshot_at
    {%- elif with_snapshot_time %}
    {{ as_of() }} as _snapshot_at
    {%- endif %}
from {{ current_rows }} as living
    {%- if with_snapshot_time and taken %}
left join {{ this }} as open_rows
    on {{ cdc_key_match(table, 'living', 'open_rows') }}
    and open_rows.dbt_valid_to is null
    {%- endif %}
where {{ 'false' if run_is_backfill() else 'not living._is_deleted' }}
    {%- endif %}
{%- endmacro %}


{# Post-hook of a snapshot, before mark_snapshot_taken: one row a snapshot. #}
{% macro forget_snapshot_taken(snapshot_name) -%}
    delete from {{ ops_relation('snapshots_taken') }} where snapshot = {{ sql_text(snapshot_name) }}
{%- endmacro %}


{# Post-hook of a snapshot: which run took it. Its tests compare it with silver only right after. #}
{% macro mark_snapshot_taken(snapshot_name) -%}
    insert into {{ ops_relation('snapshots_taken') }}
    select
        {{ sql_text(snapshot_name) }} as snapshot,
        run_context.run_id,
        run_context.as_of as taken_at
    from {{ ops_relation('run_context') }} as run_context
    where not run_context.is_backfill
{%- endmacro %}
