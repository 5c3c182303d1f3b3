-- previous_activity_date leads from each active date of a person to the one before it (R3, R4), and
-- reports count those pairs instead of ordering dates. It does so exactly if it is an earlier active
-- date, no two dates share it (the unique test of fct_user_days), and one date alone has none.
with user_days as (

    select
        user_id,
        activity_date,
        previous_activity_date
    from {{ ref('fct_user_days') }}

)

select
    following.user_id,
    following.activity_date,
    following.previous_activity_date
from user_days as following
left join user_days as preceding
    on following.user_id = preceding.user_id
        and following.previous_activity_date = preceding.activity_date
where following.previous_activity_date is not null
    and (
        preceding.activity_date is null
        or following.previous_activity_date >= following.activity_date
    )
