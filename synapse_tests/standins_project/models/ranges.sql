select *
from
    (
        values
        ('touching', 1, 2),
        ('touching', 2, 3),
        ('gap', 1, 2),
        ('gap', 5, 6),
        ('overlap', 1, 5),
        ('overlap', 4, 6),
        ('empty', 1, 1),
        ('empty', 1, 2),
        ('unknown', 1, null)
    ) as ranges (kind, lower_bound, upper_bound)
