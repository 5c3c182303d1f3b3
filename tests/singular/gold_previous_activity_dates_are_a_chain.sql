-- previous_activity_date leads from each active date of a person to the one before it (R3, R4), and
-- reports count those pairs and order nothing. It does so exactly if it is an earlier active date,
-- no two dates share it (the unique test of fct_user_days), and one date alone has none.
with user_days as (

    select
        user_id,
        activity_date,
        previous_activity_date
    from {{ ref('fct_user_days') }}

)

select
    later_days.user_id,
    later_days.activity_date,
    later_days.previous_activity_date
from user_days as later_days
left join user_days as earlier_days
    on later_days.user_id = earlier_days.user_id
        and later_days.previous_activity_date = earlier_days.activity_date
where later_days.previous_activity_date is not null
    and (
        earlier_days.activity_date is null
        or later_days.previous_activity_date >= later_days.activity_date
    )
