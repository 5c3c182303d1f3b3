{# R8 as one ordered pass over each user's events: every step that every attempt reached, and when.
   `events` is a relation or CTE with one row per funnel event:
     funnel_name, user_key, event_code (the first step that has this event's name), step_codes (list:
     the code that step 1, 2, … waits for), window_hours, occurred_at.
   Yields funnel_name, user_key, step_number, reached_at; each step 1 begins the user's next attempt.
   What an event does depends on instants and names only, so ties need no order: a step wants an
   instant strictly after the step before it, and a start one strictly after the close.
   Fails without: an attempt depends on where the one before it closed. A self-join a step cannot say
   that, a recursive query takes a round per attempt (and Athena stops it after few), and the engines
   spell a fold over a list differently. #}
{% macro funnel_pass(events) -%}
    {{ return(adapter.dispatch('funnel_pass', 'synapse')(events)) }}
{%- endmacro %}

{% macro default__funnel_pass(events) -%}
    {{ exceptions.raise_compiler_error(
        'funnel_pass has no variant for ' ~ target.type ~ ': gold is built on duckdb and athena'
    ) }}
{%- endmacro %}

{# DuckDB folds a list into a value of its elements' type, so events are made into states. Events are
   sorted as whole numbers (microseconds × 32 + code: exact to the year 9999, 31 steps), ten times
   faster than as structs; steps reached are collected as a text, which a state that nothing happens
   to passes on for free, where a list would be copied at every event. #}
{% macro duckdb__funnel_pass(events) -%}
    select
        collected.funnel_name,
        collected.user_key,
        cast(collected.reached & 31 as integer) as step_number,
        make_timestamp((collected.reached - (collected.reached & 31)) // 32) as reached_at
    from (
        select
            passes.funnel_name,
            passes.user_key,
            unnest(
                cast(
                    string_split(
                        nullif(ltrim(
                            list_reduce(
                                list_transform(
                                    passes.instants,
                                    lambda instant: {
                                        'at_us': (instant - (instant & 31)) // 32,
                                        'code': instant & 31,
                                        'step': cast(0 as bigint),
                                        'closes_us': cast(0 as bigint),
                                        'reached': ''
                                    }
                                ),
                                lambda state, event:
                                    case
                                        when state.step > 0 and event.at_us <= state.closes_us
                                            then case
                                                when event.at_us > state.at_us
                                                    and event.code = passes.step_codes[state.step + 1]
                                                    then {
                                                        'at_us': event.at_us,
                                                        'code': event.code,
                                                        'step': state.step + 1,
                                                        'closes_us': case
                                                            when state.step + 1 = passes.step_count
                                                                then event.at_us
                                                            else state.closes_us
                                                        end,
                                                        'reached': state.reached || ' '
                                                            || (event.at_us * 32 + state.step + 1)
                                                    }
                                                else state
                                            end
                                        when event.code = 1
                                            then {
                                                'at_us': event.at_us,
                                                'code': event.code,
                                                'step': cast(1 as bigint),
                                                'closes_us': case
                                                    when passes.step_count = 1 then event.at_us
                                                    else event.at_us + passes.window_us
                                                end,
                                                'reached': state.reached || ' '
                                                    || (event.at_us * 32 + 1)
                                            }
                                        else state
                                    end,
                                {
                                    'at_us': cast(0 as bigint),
                                    'code': cast(0 as bigint),
                                    'step': cast(0 as bigint),
                                    'closes_us': cast(0 as bigint),
                                    'reached': ''
                                }
                            ).reached
                        ), ''),
                        ' '
                    ) as bigint[]
                )
            ) as reached
        from (
            select
                funnel_events.funnel_name,
                funnel_events.user_key,
                any_value(funnel_events.step_codes) as step_codes,
                len(any_value(funnel_events.step_codes)) as step_count,
                any_value(funnel_events.window_hours) * 3600000000 as window_us,
                list_sort(
                    list(epoch_us(funnel_events.occurred_at) * 32 + funnel_events.event_code)
                ) as instants
            from {{ events }} as funnel_events
            group by
                funnel_events.funnel_name,
                funnel_events.user_key
        ) as passes
    ) as collected
{%- endmacro %}

{% macro athena__funnel_pass(events) -%}
    {%- set reached_type -%}
        array(row(step_number integer, reached_at timestamp(6)))
    {%- endset -%}
    {%- set state_type -%}
        row(at timestamp(6), closes_at timestamp(6), step integer, reached {{ reached_type }})
    {%- endset -%}
    select
        passes.funnel_name,
        passes.user_key,
        collected.step_number,
        collected.reached_at
    from (
        select
            funnel_events.funnel_name,
            funnel_events.user_key,
            arbitrary(funnel_events.step_codes) as step_codes,
            arbitrary(funnel_events.window_hours) as window_hours,
            array_agg(
                cast(
                    row(funnel_events.occurred_at, funnel_events.event_code)
                    as row(at timestamp(6), code integer)
                )
                order by funnel_events.occurred_at
            ) as instants
        from {{ events }} as funnel_events
        group by
            funnel_events.funnel_name,
            funnel_events.user_key
    ) as passes
    cross join unnest(
        reduce(
            passes.instants,
            cast(row(null, null, 0, array[]) as {{ state_type }}),
            (state, event) -> case
                when state.step > 0 and event.at <= state.closes_at
                    then case
                        when event.at > state.at
                            and event.code = element_at(passes.step_codes, state.step + 1)
                            then cast(
                                row(
                                    event.at,
                                    case
                                        when state.step + 1 = cardinality(passes.step_codes)
                                            then event.at
                                        else state.closes_at
                                    end,
                                    state.step + 1,
                                    concat(
                                        state.reached,
                                        cast(
                                            array[row(state.step + 1, event.at)]
                                            as {{ reached_type }}
                                        )
                                    )
                                ) as {{ state_type }}
                            )
                        else state
                    end
                when event.code = 1
                    then cast(
                        row(
                            event.at,
                            case
                                when cardinality(passes.step_codes) = 1 then event.at
                                else event.at + passes.window_hours * interval '1' hour
                            end,
                            1,
                            concat(
                                state.reached,
                                cast(array[row(1, event.at)] as {{ reached_type }})
                            )
                        ) as {{ state_type }}
                    )
                else state
            end,
            state -> state.reached
        )
    ) as collected (step_number, reached_at)
{%- endmacro %}


{# Values of a group as a list, in the order of another column.
   Fails without: DuckDB and Trino name the aggregate differently. #}
{% macro ordered_list(expression, order_by) -%}
    {{ return(adapter.dispatch('ordered_list', 'synapse')(expression, order_by)) }}
{%- endmacro %}

{% macro default__ordered_list(expression, order_by) -%}
    list({{ expression }} order by {{ order_by }})
{%- endmacro %}

{% macro athena__ordered_list(expression, order_by) -%}
    array_agg({{ expression }} order by {{ order_by }})
{%- endmacro %}
