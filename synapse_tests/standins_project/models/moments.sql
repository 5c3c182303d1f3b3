-- One group is an hour old, one ten days old, one lies in the future only.
select
    group_name,
    cast(current_timestamp as timestamp) + age as happened_at
from
    (
        values
        ('fresh', interval (-1) hour),
        ('stale', interval (-10) day),
        ('future', interval 10 day)
    ) as ages (group_name, age)
