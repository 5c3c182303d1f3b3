{# Grain: one row per plan ever landed, deleted ones included.
   Keys: plan_id.
   Incremental: none; a handful of rows, rebuilt whole.
   Rules: none; prices of the past are in hist_dms__plans. #}
with plans as (

    select
        plan_id,
        plan_code,
        plan_name,
        monthly_price_cents,
        _is_deleted,
        created_at
    from {{ ref('stg_dms__plans') }}

),

final as (

    select
        plan_id,
        plan_code,
        plan_name,
        monthly_price_cents,
        _is_deleted as is_deleted,
        created_at
    from plans

)

select * from final
