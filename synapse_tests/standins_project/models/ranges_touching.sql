select *
from {{ ref("ranges") }}
where kind = 'touching'
