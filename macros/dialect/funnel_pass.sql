{# R8 as one ordered pass over each user's events: every step that every attempt reached, and when.
   `events` is a relation or CTE with one row per funnel event:
     funnel_name, user_key, occurred_at, event_code (number of the first step of the event's name);
   `definitions` one with a row per funnel:
     funnel_name, step_count, window_hours,
     step_masks (list: for each step, bits 1, 2, 4, … of all steps with its event name),
     single_codes (bits 2^code of the codes whose name stands for one step only, not the first).
   Yields funnel_name, user_key, step_number, reached_at; each step 1 begins the user's next attempt.
   What an event does depends on instants and names only, so ties need no order: a step wants an
   instant strictly after the step before it, and a start one strictly after the close.
   Fails without: an attempt depends on where the one before it closed. A self-join a step cannot say
   that, a recursive query takes a round per attempt (and Athena stops it after few), and the engines
   spell a fold over a list differently. #}
{% macro funnel_pass(events, definitions) -%}
    {{ return(adapter.dispatch('funnel_pass', 'synapse')(events, definitions)) }}
{%- endmacro %}

{% macro default__funnel_pass(events, definitions) -%}
    {{ exceptions.raise_compiler_error(
        'funnel_pass has no variant for ' ~ target.type ~ ': gold is built on duckdb and athena'
    ) }}
{%- endmacro %}

{# Why it looks as it does on DuckDB 1.5:
   - A list folds into a value of its elements' type, so events are made into states. `steps` of an
     event are its mask and, from bit 32 on, the funnel's number of steps; of a state the step reached.
   - list_reduce hands columns captured by its lambda over from another row once lists differ in
     length (a wrong result, not an error), so all that the lambda needs travels in the elements.
   - Events are sorted as whole numbers (microseconds × 32 + code: exact to the year 9999, 31 steps),
     ten times faster than as structs.
   - Of a run of events of one name that stands for one step, the third and later change nothing: at
     most one of the run is taken, the first strictly after the step before it, and of two different
     instants the second is. They are left out first, cheaply. (Not so starts: a window may end
     between two of them.)
   - Lists fold side by side, as many rounds as the longest of 2,048 has elements: those of a length
     go together, or a few heavy users cost more than all others.
   - Steps reached are collected as a text, which an event that changes nothing passes on for free; a
     list would be copied at every event. #}
{% macro duckdb__funnel_pass(events, definitions) -%}
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
                            'closes_us': (instant - (instant & 31)) // 32 + passes.window_us,
                            'steps': passes.step_count * 4294967296
                                + passes.step_masks[instant & 31],
                            'reached': ''
                        }
                    ),
                    lambda state, event:
                        case
                            when event.at_us <= state.closes_us
                                then case
                                    when event.at_us > state.at_us
                                        and (event.steps >> state.steps) & 1 = 1
                                        then {
                                            'at_us': event.at_us,
                                            'closes_us': case
                                                when state.steps + 1 = event.steps >> 32
                                                    then event.at_us
                                                else state.closes_us
                                            end,
                                            'steps': state.steps + 1,
                                            'reached': state.reached || ' '
                                                || (event.at_us * 32 + state.steps + 1)
                                        }
                                    else state
                                end
                            when event.steps & 1 = 1
                                then {
                                    'at_us': event.at_us,
                                    'closes_us': case
                                        when event.steps >> 32 = 1 then event.at_us
                                        else event.closes_us
                                    end,
                                    'steps': cast(1 as bigint),
                                    'reached': state.reached || ' ' || (event.at_us * 32 + 1)
                                }
                            else state
                        end,
                    {
                        'at_us': cast(-9223372036854775807 as bigint),
                        'closes_us': cast(-9223372036854775807 as bigint),
                        'steps': cast(0 as bigint),
                        'reached': ''
                    }
                ) as state
            from (
                select
                    listed.funnel_name,
                    listed.user_key,
                    funnel_definitions.step_masks,
                    cast(funnel_definitions.step_count as bigint) as step_count,
                    funnel_definitions.window_hours * 3600000000 as window_us,
                    list_filter(
                        listed.instants,
                        lambda instant, place: coalesce(
                            (funnel_definitions.single_codes >> (instant & 31)) & 1 = 0
                            or instant & 31 <> listed.instants[place - 1] & 31
                            or instant & 31 <> listed.instants[place - 2] & 31
                            or listed.instants[place - 1] = listed.instants[place - 2],
                            true
                        )
                    ) as instants
                from (
                    select
                        funnel_events.funnel_name,
                        funnel_events.user_key,
                        list_sort(
                            list(
                                epoch_us(funnel_events.occurred_at) * 32
                                + funnel_events.event_code
                            )
                        ) as instants
                    from {{ events }} as funnel_events
                    group by
                        funnel_events.funnel_name,
                        funnel_events.user_key
                ) as listed
                inner join {{ definitions }} as funnel_definitions
                    on listed.funnel_name = funnel_definitions.funnel_name
                order by len(instants) desc
            ) as passes
        ) as folded
    ) as collected
{%- endmacro %}

{# A fold of Trino takes a row at a time and any type for its state: neither runs nor lengths matter. #}
{% macro athena__funnel_pass(events, definitions) -%}
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
            arbitrary(funnel_definitions.step_count) as step_count,
            arbitrary(funnel_definitions.window_hours) as window_hours,
            array_agg(
                cast(
                    row(
                        funnel_events.occurred_at,
                        element_at(funnel_definitions.step_masks, funnel_events.event_code)
                    ) as row(at timestamp(6), step_mask bigint)
                )
                order by funnel_events.occurred_at
            ) as instants
        from {{ events }} as funnel_events
        inner join {{ definitions }} as funnel_definitions
            on funnel_events.funnel_name = funnel_definitions.funnel_name
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
