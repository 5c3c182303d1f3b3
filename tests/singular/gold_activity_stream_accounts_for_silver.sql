{# Every living record of silver that is an event is in fct_events exactly once, and nothing else.
   Fails when: a join multiplies or drops events, or an app event is counted beside its fact.
   Who fixes it: growth. #}
{{ config(tags=['whole_history']) }}
with landed_facts as (

    select
        event_name,
        is_landed
    from {{ ref('int_landed_facts') }}

),

expected as (

    select
        app_events.event_name,
        'app_events' as source_system,
        count(*) as event_count
    from {{ ref('stg_kconnect__app_events') }} as app_events
    left join landed_facts
        on app_events.event_name = landed_facts.event_name
    where app_events.occurred_at is not null
        and not coalesce(landed_facts.is_landed, false)
    group by app_events.event_name

    union all

    select
        'message_sent' as event_name,
        'dms' as source_system,
        count(*) as event_count
    from {{ ref('stg_dms__messages') }}
    where not _is_deleted
        and role = 'user'
        and sent_at is not null
    having count(*) > 0

    union all

    select
        'message_sent' as event_name,
        'documents' as source_system,
        count(*) as event_count
    from {{ ref('stg_kconnect__conversation_messages') }}
    where role = 'user'
        and sent_at is not null
    having count(*) > 0

    union all

    select
        'conversation_started' as event_name,
        'dms' as source_system,
        count(*) as event_count
    from {{ ref('stg_dms__conversations') }}
    where not _is_deleted
        and started_at is not null
    having count(*) > 0

    union all

    select
        'conversation_started' as event_name,
        'documents' as source_system,
        count(*) as event_count
    from {{ ref('stg_kconnect__conversations') }}
    where created_at is not null
    having count(*) > 0

    union all

    select
        'subscription_canceled' as event_name,
        'dms' as source_system,
        count(*) as event_count
    from {{ ref('stg_dms__subscriptions') }}
    where not _is_deleted
        and canceled_at is not null
    having count(*) > 0

    union all

    select
        'payment_paid' as event_name,
        'dms' as source_system,
        count(*) as event_count
    from {{ ref('stg_dms__payments') }}
    where not _is_deleted
        and status in ('paid', 'refunded')
        and paid_at is not null
    having count(*) > 0

),

found as (

    select
        event_name,
        source_system,
        count(*) as event_count
    from {{ ref('fct_events') }}
    where event_name <> 'trial_started' or source_system = 'app_events'
    group by
        event_name,
        source_system

)

select
    coalesce(expected.event_name, found.event_name) as event_name,
    coalesce(expected.source_system, found.source_system) as source_system,
    expected.event_count as silver_count,
    found.event_count as gold_count
from expected
full outer join found
    on expected.event_name = found.event_name
        and expected.source_system = found.source_system
where coalesce(expected.event_count, 0) <> coalesce(found.event_count, 0)
