select *
from {{ ref("ranges") }}
where kind = 'gap'
