select *
from {{ ref("ranges") }}
where kind = 'unknown'
