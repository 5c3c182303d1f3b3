select *
from {{ ref("ranges") }}
where kind = 'empty'
