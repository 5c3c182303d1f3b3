select *
from {{ ref("numbers") }}
where id < 4
