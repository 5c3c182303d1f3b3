{# Grain: one row per << grain >>.
   Keys: << grain >>.
   Incremental: none; rebuilt whole.
   Rules: << rule >>. #}

with << source >> as (

    select
<% for key in keys %>
        << key.name >><< "" if loop.last else "," >>
<% endfor %>
    from {{ ref('<< source >>') }}

)

select
<% for key in keys %>
    << key.name >>,
<% endfor %>
    count(*) as row_count
from << source >>
group by<% for key in keys %> << key.name >><< "" if loop.last else "," >><% endfor %>

