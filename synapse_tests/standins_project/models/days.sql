-- 40 days up to today: a quiet series, one that leaps yesterday, one that leaps today, a flat one.
select
    cast(current_date as date) - cast(age as integer) as day,
    100 + age % 3 as quiet,
    case when age = 1 then 100000 else 100 + age % 3 end as leaps_yesterday,
    case when age = 0 then 100000 else 100 + age % 3 end as leaps_today,
    case when age = 30 then 100000 else 100 + age % 3 end as leapt_long_ago,
    case when age = 1 then 1 else 100 + age % 3 end as drops_yesterday,
    100 as flat,
    case when age % 2 = 0 then 'even' else 'odd' end as parity
from range(40) as ages (age)
