{# The newest value lies at most so many days before the run's as-of. dbt_expectations' recency test asks
   the clock, under which a repeated run of a past date could never pass. A table without rows passes:
   a source that never landed gates nothing. #}
{% test recent_at_as_of(model, column_name, days) %}
select max({{ column_name }}) as latest_at
from {{ model }}
having max({{ column_name }}) < {{ dateadd('day', -1 * days, as_of()) }}
{% endtest %}
