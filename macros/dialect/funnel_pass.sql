{# R8 as one ordered pass over each user's events: every step that every attempt reached, and when.
   `events` is a relation or CTE with one row per funnel event:
     funnel_name, user_key, occurred_at, window_hours, step_count (of the funnel),
     event_code (number of the first step that has the event's name),
     step_masks (list: for each step of the funnel, bits 1, 2, 4, … of all steps with its event name).
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

{# Why it looks as it does on DuckDB 1.5:
   - A list folds into a value of its elements' type, so events are made into states.
   - list_reduce hands columns captured by its lambda over from another row once lists differ in
     length (a wrong result, not an error), so all that the lambda needs travels in the elements.
   - Events are sorted as whole numbers (microseconds × 32 + code: exact to the year 9999, 31 steps),
     ten times faster than as structs.
   - Steps reached are collected as a text, which an event that changes nothing passes on for free; a
     list would be copied at every event. #}
{% macro duckdb__funnel_pass(events) -%}
    select
        collected.funnel_name,
        collected.user_key,
        cast(collected.reached & 31 as integer) as step_number,
        make_timestamp((collected.reached - (collected.reached & 31)) // 32) as reached_at
    from (
        select
            folded.funnel_name,
            folded.user_key,
            unnest(
                cast(string_split(nullif(ltrim(folded.state.reached), ''), ' ') as bigint[])
            ) as reached
        from (
            select
                passes.funnel_name,
                passes.user_key,
                list_reduce(
                    list_transform(
                        passes.instants,
                        lambda instant: {
                            'at_us': (instant - (instant & 31)) // 32,
                            'step_mask': passes.step_masks[instant & 31],
                            'step': cast(0 as bigint),
                            'step_count': passes.step_count,
                            'closes_us': (instant - (instant & 31)) // 32 + passes.window_us,
                            'reached': ''
                        }
                    ),
                    lambda state, event:
                        case
                            when state.step > 0 and event.at_us <= state.closes_us
                                then case
                                    when event.at_us > state.at_us
                                        and (event.step_mask >> state.step) & 1 = 1
                                        then {
                                            'at_us': event.at_us,
                                            'step_mask': event.step_mask,
                                            'step': state.step + 1,
                                            'step_count': event.step_count,
                                            'closes_us': case
                                                when state.step + 1 = event.step_count
                                                    then event.at_us
                                                else state.closes_us
                                            end,
                                            'reached': state.reached || ' '
                                                || (event.at_us * 32 + state.step + 1)
                                        }
                                    else state
                                end
                            when event.step_mask & 1 = 1
                                then {
                                    'at_us': event.at_us,
                                    'step_mask': event.step_mask,
                                    'step': cast(1 as bigint),
                                    'step_count': event.step_count,
                                    'closes_us': case
                                        when event.step_count = 1 then event.at_us
                                        else event.closes_us
                                    end,
                                    'reached': state.reached || ' ' || (event.at_us * 32 + 1)
                                }
                            else state
                        end,
                    {
                        'at_us': cast(0 as bigint),
                        'step_mask': cast(0 as bigint),
                        'step': cast(0 as bigint),
                        'step_count': cast(0 as bigint),
                        'closes_us': cast(0 as bigint),
                        'reached': ''
                    }
                ) as state
            from (
                select
                    funnel_events.funnel_name,
                    funnel_events.user_key,
                    any_value(funnel_events.step_masks) as step_masks,
                    any_value(funnel_events.step_count) as step_count,
                    any_value(funnel_events.window_hours) * 3600000000 as window_us,
                    list_sort(
                        list(epoch_us(funnel_events.occurred_at) * 32 + funnel_events.event_code)
                    ) as instants
                from {{ events }} as funnel_events
                group by
                    funnel_events.funnel_name,
                    funnel_events.user_key
            ) as passes
        ) as folded
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
            arbitrary(funnel_events.step_count) as step_count,
            arbitrary(funnel_events.window_hours) as window_hours,
            array_agg(
                cast(
                    row(
                        funnel_events.occurred_at,
                        element_at(funnel_events.step_masks, funnel_events.event_code)
                    ) as row(at timestamp(6), step_mask bigint)
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
                            and bitwise_and(
                                bitwise_right_shift(event.step_mask, state.step), 1
                            ) = 1
                            then cast(
                                row(
                                    event.at,
                                    case
                                        when state.step + 1 = passes.step_count
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
                when bitwise_and(event.step_mask, 1) = 1
                    then cast(
                        row(
                            event.at,
                            case
                                when passes.step_count = 1 then event.at
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
