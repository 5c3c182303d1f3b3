select *
from {{ ref("nothing") }}
