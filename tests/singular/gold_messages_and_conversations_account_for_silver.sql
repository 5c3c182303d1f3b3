{# fct_messages and fct_conversations hold every living row of both sources, once.
   Fails when: a join multiplies or drops rows, or ids of the two sources collide.
   Who fixes it: conversations. #}
{{ config(tags=['whole_history']) }}
with expected as (

    select
        'messages' as entity,
        'dms' as source_system,
        count(*) as row_count
    from {{ ref('stg_dms__messages') }}
    where not _is_deleted

    union all

    select
        'messages' as entity,
        'documents' as source_system,
        count(*) as row_count
    from {{ ref('stg_kconnect__conversation_messages') }}

    union all

    select
        'conversations' as entity,
        'dms' as source_system,
        count(*) as row_count
    from {{ ref('stg_dms__conversations') }}
    where not _is_deleted

    union all

    select
        'conversations' as entity,
        'documents' as source_system,
        count(*) as row_count
    from {{ ref('stg_kconnect__conversations') }}

),

found as (

    select
        'messages' as entity,
        source_system,
        count(distinct message_id) as row_count
    from {{ ref('fct_messages') }}
    group by source_system

    union all

    select
        'conversations' as entity,
        source_system,
        count(distinct conversation_id) as row_count
    from {{ ref('fct_conversations') }}
    group by source_system

)

select
    expected.entity,
    expected.source_system,
    expected.row_count as silver_count,
    found.row_count as gold_count
from expected
left join found
    on expected.entity = found.entity
        and expected.source_system = found.source_system
where expected.row_count <> coalesce(found.row_count, 0)
