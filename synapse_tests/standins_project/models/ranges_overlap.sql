select *
from {{ ref("ranges") }}
where kind = 'overlap'
