{# R9: the days' sessions, events and seconds are those of the sessions that began by the last date.
   Fails when: a report drops or doubles a session, or dates one by something else than its start.
   Who fixes it: growth. #}
with sessions as (

    select
        count(*) as session_count,
        coalesce(sum(fct_sessions.event_count), 0) as event_count,
        coalesce(sum(fct_sessions.duration_seconds), 0) as duration_seconds
    from {{ ref('fct_sessions') }} as fct_sessions
    inner join {{ ref('dim_dates') }} as dim_dates
        on fct_sessions.session_date = dim_dates.date_day

),

reported as (

    select
        coalesce(sum(session_count), 0) as session_count,
        coalesce(sum(event_count), 0) as event_count,
        coalesce(sum(total_duration_seconds), 0) as duration_seconds
    from {{ ref('rpt_sessions_daily') }}

)

select
    sessions.session_count,
    reported.session_count as reported_session_count,
    sessions.event_count,
    reported.event_count as reported_event_count,
    sessions.duration_seconds,
    reported.duration_seconds as reported_duration_seconds
from sessions
cross join reported
where sessions.session_count <> reported.session_count
    or sessions.event_count <> reported.event_count
    or sessions.duration_seconds <> reported.duration_seconds
