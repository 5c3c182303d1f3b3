{# R9: every app event and user message of the stream is in exactly one session.
   Fails when: a session swallows, drops or doubles an event.
   Who fixes it: growth. #}
with events as (

    select
        user_key,
        count(*) as event_count
    from {{ ref('fct_events') }}
    where not is_internal
        and (source_system = 'app_events' or event_name = 'message_sent')
    group by user_key

),

sessions as (

    select
        user_key,
        sum(event_count) as event_count
    from {{ ref('fct_sessions') }}
    group by user_key

)

select
    coalesce(events.user_key, sessions.user_key) as user_key,
    events.event_count,
    sessions.event_count as session_event_count
from events
full outer join sessions
    on events.user_key = sessions.user_key
where coalesce(events.event_count, 0) <> coalesce(sessions.event_count, 0)
