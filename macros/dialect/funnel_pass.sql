{# R8 as one ordered pass over each user's events: the instants at which each attempt reached each of
   its steps. `events` is a relation or CTE with one row per funnel event:
     funnel_name, user_key, event_code (first step that has this event's name), occurred_at,
     closes_at (end of the window of an attempt started by it), step_codes (list: the code that
     step 1, 2, … waits for).
   Yields funnel_name, user_key, attempt_number, step_number, reached_at.
   What an event does depends only on instants and names, so ties need no order: a step wants an
   instant strictly after the one before it, and a start one strictly after the close.
   Fails without: an attempt depends on where the one before it closed. A self-join a step cannot say
   that, a recursive query runs once per attempt (and Athena ends it after few rounds), and the engines
   spell a fold over a list differently: DuckDB folds elements of the state's own type. #}
{% macro funnel_pass(events) -%}
    {{ return(adapter.dispatch('funnel_pass', 'synapse')(events)) }}
{%- endmacro %}

{% macro default__funnel_pass(events) -%}
    {{ exceptions.raise_compiler_error(
        'funnel_pass has no variant for ' ~ target.type ~ ': gold is built on duckdb and athena'
    ) }}
{%- endmacro %}

{% macro duckdb__funnel_pass(events) -%}
    select
        folded.funnel_name,
        folded.user_key,
        folded.reached.attempt_number,
        folded.reached.step_number,
        folded.reached.reached_at
    from (
        select
            passes.funnel_name,
            passes.user_key,
            unnest(
                list_reduce(
                    passes.states,
                    lambda state, event:
                        case
                            when state.step_number > 0
                                and event.instant <= state.closes_at
                                then
                                    case
                                        when event.instant > state.instant
                                            and event.code = passes.step_codes[state.step_number + 1]
                                            then {
                                                'instant': event.instant,
                                                'closes_at': case
                                                    when state.step_number + 1 = len(passes.step_codes)
                                                        then event.instant
                                                    else state.closes_at
                                                end,
                                                'code': event.code,
                                                'attempt_number': state.attempt_number,
                                                'step_number': state.step_number + 1,
                                                'reached': list_append(
                                                    state.reached,
                                                    {
                                                        'attempt_number': state.attempt_number,
                                                        'step_number': state.step_number + 1,
                                                        'reached_at': event.instant
                                                    }
                                                )
                                            }
                                        else state
                                    end
                            when event.code = 1
                                then {
                                    'instant': event.instant,
                                    'closes_at': case
                                        when len(passes.step_codes) = 1 then event.instant
                                        else event.closes_at
                                    end,
                                    'code': event.code,
                                    'attempt_number': state.attempt_number + 1,
                                    'step_number': 1,
                                    'reached': list_append(
                                        state.reached,
                                        {
                                            'attempt_number': state.attempt_number + 1,
                                            'step_number': 1,
                                            'reached_at': event.instant
                                        }
                                    )
                                }
                            else state
                        end,
                    {
                        'instant': cast(null as timestamp),
                        'closes_at': cast(null as timestamp),
                        'code': 0,
                        'attempt_number': 0,
                        'step_number': 0,
                        'reached': cast(
                            [] as struct(
                                attempt_number integer, step_number integer, reached_at timestamp
                            )[]
                        )
                    }
                ).reached
            ) as reached
        from (
            select
                funnel_events.funnel_name,
                funnel_events.user_key,
                any_value(funnel_events.step_codes) as step_codes,
                list(
                    {
                        'instant': funnel_events.occurred_at,
                        'closes_at': funnel_events.closes_at,
                        'code': funnel_events.event_code,
                        'attempt_number': 0,
                        'step_number': 0,
                        'reached': cast(
                            [] as struct(
                                attempt_number integer, step_number integer, reached_at timestamp
                            )[]
                        )
                    }
                    order by funnel_events.occurred_at
                ) as states
            from {{ events }} as funnel_events
            group by
                funnel_events.funnel_name,
                funnel_events.user_key
        ) as passes
    ) as folded
{%- endmacro %}

{% macro athena__funnel_pass(events) -%}
    select
        passes.funnel_name,
        passes.user_key,
        reached.attempt_number,
        reached.step_number,
        reached.reached_at
    from (
        select
            funnel_events.funnel_name,
            funnel_events.user_key,
            arbitrary(funnel_events.step_codes) as step_codes,
            array_agg(
                cast(
                    row(
                        funnel_events.occurred_at,
                        funnel_events.closes_at,
                        funnel_events.event_code
                    ) as row(instant timestamp(6), closes_at timestamp(6), code integer)
                )
                order by funnel_events.occurred_at
            ) as states
        from {{ events }} as funnel_events
        group by
            funnel_events.funnel_name,
            funnel_events.user_key
    ) as passes
    cross join unnest(
        reduce(
            passes.states,
            cast(
                row(cast(null as timestamp(6)), cast(null as timestamp(6)), 0, 0, array[])
                as row(
                    instant timestamp(6),
                    closes_at timestamp(6),
                    attempt_number integer,
                    step_number integer,
                    reached array(row(
                        attempt_number integer, step_number integer, reached_at timestamp(6)
                    ))
                )
            ),
            (state, event) -> case
                when state.step_number > 0 and event.instant <= state.closes_at
                    then case
                        when event.instant > state.instant
                            and event.code = element_at(passes.step_codes, state.step_number + 1)
                            then cast(
                                row(
                                    event.instant,
                                    case
                                        when state.step_number + 1 = cardinality(passes.step_codes)
                                            then event.instant
                                        else state.closes_at
                                    end,
                                    state.attempt_number,
                                    state.step_number + 1,
                                    state.reached || cast(
                                        row(
                                            state.attempt_number,
                                            state.step_number + 1,
                                            event.instant
                                        ) as row(
                                            attempt_number integer,
                                            step_number integer,
                                            reached_at timestamp(6)
                                        )
                                    )
                                ) as row(
                                    instant timestamp(6),
                                    closes_at timestamp(6),
                                    attempt_number integer,
                                    step_number integer,
                                    reached array(row(
                                        attempt_number integer,
                                        step_number integer,
                                        reached_at timestamp(6)
                                    ))
                                )
                            )
                        else state
                    end
                when event.code = 1
                    then cast(
                        row(
                            event.instant,
                            case
                                when cardinality(passes.step_codes) = 1 then event.instant
                                else event.closes_at
                            end,
                            state.attempt_number + 1,
                            1,
                            state.reached || cast(
                                row(state.attempt_number + 1, 1, event.instant) as row(
                                    attempt_number integer,
                                    step_number integer,
                                    reached_at timestamp(6)
                                )
                            )
                        ) as row(
                            instant timestamp(6),
                            closes_at timestamp(6),
                            attempt_number integer,
                            step_number integer,
                            reached array(row(
                                attempt_number integer,
                                step_number integer,
                                reached_at timestamp(6)
                            ))
                        )
                    )
                else state
            end,
            state -> state.reached
        )
    ) as reached (attempt_number, step_number, reached_at)
{%- endmacro %}


{# Integers of a group as a list, in the order of another column.
   Fails without: DuckDB and Trino name the aggregate differently, and only DuckDB's list() is a list
   that its own lambdas can index. #}
{% macro ordered_list(expression, order_by) -%}
    {{ return(adapter.dispatch('ordered_list', 'synapse')(expression, order_by)) }}
{%- endmacro %}

{% macro default__ordered_list(expression, order_by) -%}
    list({{ expression }} order by {{ order_by }})
{%- endmacro %}

{% macro athena__ordered_list(expression, order_by) -%}
    array_agg({{ expression }} order by {{ order_by }})
{%- endmacro %}
