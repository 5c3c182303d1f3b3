select *
from
    (
        values
        (1, 'a', 'group_one', 10, 20, 'ana@example.com'),
        (2, 'b', 'group_one', 20, 20, 'rui@example.com'),
        (3, 'b', 'group_two', 30, 40, 'eva@example.com'),
        (4, null, 'group_two', null, 50, 'no address')
    ) as numbers (id, letter, group_name, low, high, address)
