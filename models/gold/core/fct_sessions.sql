{# Grain: one row per session of a user_key, anonymous visitors included, internal users not.
   Keys: session_id (the id of its first event).
   Incremental: of people of whom an event changed, the sessions that it could touch and later ones.
   Rules: R9, R1, R2 (internal users). #}
{%- set gap_minutes = 30 %}
{{ incremental_fact(
    key='session_id', void='user_key', dated_by='started_at', follows=['fct_events'],
    logs={'keys': ['session_date'], 'instant': 'started_at'}
) }}
{%- set scope = fact_scope() %}
{%- set read_from = none %}
{%- if scope == 'some' %}
    {#- Sessions that end and events that occur earlier are of no concern to anybody; a session that is
        touched may have begun before. #}
    {%- set touched_from = earliest_change('fct_events', 'user_key', this.identifier, gap_minutes) %}
    {%- set touched_ends = range_from(
        "timestamp '" ~ touched_from ~ "'" if touched_from else none, "timestamp '9999-12-31 00:00:00'"
    ) %}
    {%- set read_from = run_query(
        'select ' ~ canonical_text('min(existing.started_at)', 'timestamp') ~ ' as started_at from '
        ~ this ~ ' as existing where ' ~ is_in_ranges('existing.ended_at', touched_ends)
    ).rows[0][0] %}
    {%- set read_from = [read_from, touched_from] | select | min if touched_from
        else '9999-12-31 00:00:00' %}
{%- endif %}
with events as (

    select
        event_id,
        event_name,
        user_id,
        user_key,
        platform,
        occurred_at
    from {{ ref('fct_events') }}
    where not is_internal
        and (source_system = 'app_events' or event_name = 'message_sent')
    {%- if scope == 'some' %}
        and occurred_at >= timestamp '{{ read_from }}'
    {%- endif %}

),
{% if scope == 'some' %}
changes as (

    select
        pending.key as user_key,
        {{ timestamp_add_minutes('pending.changed_from', -gap_minutes) }} as touches_from
    from {{ changes_pending('fct_events', 'user_key', this.identifier) }} as pending

),

-- Sessions that ended earlier than a gap before the first change stay as they are, and are counted: by
-- the number of the first one that does not, or else of the last one there is.
touched_sessions as (

    select
        changes.user_key,
        min(existing.started_at) as first_touched_at,
        min(existing.session_number) - 1 as kept_session_count
    from changes
    inner join {{ this }} as existing
        on changes.user_key = existing.user_key
            and changes.touches_from <= existing.ended_at
    where {{ is_in_ranges('existing.ended_at', touched_ends) }}
    group by changes.user_key

),

last_sessions as (

    select
        existing.user_key,
        max(existing.session_number) as session_count
    from {{ this }} as existing
    inner join changes
        on existing.user_key = changes.user_key
    group by existing.user_key

),

people as (

    select
        changes.user_key,
        changes.touches_from,
        touched_sessions.first_touched_at,
        coalesce(
            touched_sessions.kept_session_count, last_sessions.session_count, 0
        ) as kept_session_count
    from changes
    left join touched_sessions
        on changes.user_key = touched_sessions.user_key
    left join last_sessions
        on changes.user_key = last_sessions.user_key

),

read_events as (

    select
        events.event_id,
        events.event_name,
        events.user_id,
        events.user_key,
        events.platform,
        people.kept_session_count,
        events.occurred_at
    from events
    inner join people
        on events.user_key = people.user_key
            and events.occurred_at >= least(
                people.touches_from, coalesce(people.first_touched_at, people.touches_from)
            )

),
{% else %}
read_events as (

    select
        event_id,
        event_name,
        user_id,
        user_key,
        platform,
        0 as kept_session_count,
        occurred_at
    from events

),
{% endif %}
spaced as (

    select
        event_id,
        event_name,
        user_id,
        user_key,
        platform,
        kept_session_count,
        {{ epoch_microseconds('occurred_at') }}
        - lag({{ epoch_microseconds('occurred_at') }}) over (
            partition by user_key order by occurred_at, event_id
        ) as gap_microseconds,
        occurred_at
    from read_events

),

numbered as (

    select
        event_id,
        event_name,
        user_id,
        user_key,
        platform,
        -- A gap of exactly 30 minutes is still the same session.
        kept_session_count + sum(
            case
                when gap_microseconds is null or gap_microseconds > {{ gap_minutes * 60000000 }}
                    then 1
                else 0
            end
        ) over (
            partition by user_key order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as session_number,
        gap_microseconds is null or gap_microseconds > {{ gap_minutes * 60000000 }} as is_first,
        occurred_at
    from spaced

),

final as (

    select
        max(case when is_first then event_id end) as session_id,
        user_key,
        max(user_id) as user_id,
        coalesce(max(case when is_first then platform end), 'unknown') as platform,
        cast(session_number as bigint) as session_number,
        count(*) as event_count,
        cast(
            sum(case when event_name = 'message_sent' then 1 else 0 end) as bigint
        ) as message_count,
        {{ seconds_between('min(occurred_at)', 'max(occurred_at)') }} as duration_seconds,
        {{ business_date('min(occurred_at)') }} as session_date,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at
    from numbered
    group by
        user_key,
        session_number

)

{% set is_touched -%}
    exists (
        select 1
        from changes
        where changes.user_key = existing.user_key
            and changes.touches_from <= existing.ended_at
    )
{%- endset -%}
{{ changed_rows('final', scope, [{
    'where': is_touched, 'bounds': {'column': 'ended_at', 'ranges': touched_ends}
}]) }}
