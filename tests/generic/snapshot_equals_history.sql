{# Right after a snapshot was taken, its open rows are the open rows of the table's exact history. Says
   nothing in a run that took none (a backfill, a selection without snapshots). #}
{% test snapshot_equals_history(model, history, cdc_table_name) %}
{%- set names = cdc_column_names(cdc_table(cdc_table_name)) | join(', ') if execute else '1' %}
with taken as (

    select snapshots_taken.snapshot
    from {{ ops_relation('snapshots_taken') }} as snapshots_taken
    inner join {{ ops_relation('run_context') }} as run_context
        on snapshots_taken.run_id = run_context.run_id
    where snapshots_taken.snapshot = '{{ model.identifier }}'

),

snapshotted as (

    select {{ names }}
    from {{ model }}
    where dbt_valid_to is null

),

living as (

    select {{ names }}
    from {{ history }}
    where _is_current

),

differing as (

    (select 'only in the snapshot' as finding, only_here.* from (
        select * from snapshotted
        except
        select * from living
    ) as only_here)
    union all
    (select 'only in the history' as finding, only_here.* from (
        select * from living
        except
        select * from snapshotted
    ) as only_here)

)

select differing.*
from differing
cross join taken
{% endtest %}
