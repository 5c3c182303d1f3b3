{# Grain: one row per minute of the 60 that had ended by as-of, with zeros.
   Keys: minute_at.
   Incremental: none; 60 rows, built anew from gold and what landed after it.
   Rules: R16 (as the batch says), R2 (internal users). #}
with messages as (

    select
        conversation_id,
        role,
        minute_at
    from {{ ref('int_recent_messages') }}
    where is_recent
        and not is_internal

),

calendar as (

    {{ real_time_calendar() }}

),

counted as (

    select
        count(*) as message_count,
        cast(sum(case when role = 'user' then 1 else 0 end) as bigint) as user_message_count,
        cast(
            sum(case when role = 'assistant' then 1 else 0 end) as bigint
        ) as assistant_message_count,
        count(distinct conversation_id) as conversation_count,
        minute_at
    from messages
    group by minute_at

),

final as (

    select
        coalesce(counted.message_count, 0) as message_count,
        coalesce(counted.user_message_count, 0) as user_message_count,
        coalesce(counted.assistant_message_count, 0) as assistant_message_count,
        coalesce(counted.conversation_count, 0) as conversation_count,
        calendar.minute_at
    from calendar
    left join counted
        on calendar.minute_at = counted.minute_at

)

select * from final
