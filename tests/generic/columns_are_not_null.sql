{# No row lacks any of these columns. One test a model, not one a column: each test is a query, and on
   Athena each query has its minimum price. #}
{% test columns_are_not_null(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where {{ columns | join(' is null or ') }} is null
{% endtest %}
