select *
from {{ ref("moments") }}
