{# No key has more than one row without an end. #}
{% test one_open_row_per_key(model, key, valid_to) %}
select
    {{ key | join(', ') }},
    count(*) as open_row_count
from {{ model }}
where {{ valid_to }} is null
group by {{ key | join(', ') }}
having count(*) > 1
{% endtest %}
