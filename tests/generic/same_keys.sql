{# Two relations name exactly the same keys; the conditions narrow either side. `to_key` lists the
   other side's key columns, once for each place where it names keys. It proves the code that folds,
   not what landed, and from no part of the rows: the hour leaves it to the day. #}
{% test same_keys(model, key, to, to_key=none, row_condition='true', to_row_condition='true') %}
{{ config(tags=['whole_history']) }}
with left_keys as (

    select distinct {{ key | join(', ') }}
    from {{ model }}
    where {{ row_condition }}

),

right_keys as (

    {% for names in (to_key or [key]) %}
    select {% for name in names %}{{ name }} as {{ key[loop.index0] }}{{ ', ' if not loop.last }}{% endfor %}
    from {{ to }}
    where {{ to_row_condition }}
        and {{ names[0] }} is not null
    {{ 'union' if not loop.last }}
    {% endfor %}

)

(select 'not there' as finding, only_here.* from (
    select * from left_keys
    except
    select * from right_keys
) as only_here)
union all
(select 'not here' as finding, only_here.* from (
    select * from right_keys
    except
    select * from left_keys
) as only_here)
{% endtest %}
