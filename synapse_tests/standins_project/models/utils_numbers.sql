select *
from {{ ref("numbers") }}
