{# Grain: one row per user and span of dates that share the last active date and all dimensions.
   Keys: user_id, applies_from_date.
   Incremental: none; rebuilt whole by one sweep over each person's dates.
   Rules: R14 (dimensions at a date's end, platform of the latest active day), R3, R2. #}
{%- set longest_window = 30 -%}

with user_days as (

    select
        user_id,
        platform,
        event_region,
        event_country,
        activity_date
    from {{ ref('fct_user_days') }}

),

user_history as (

    select
        user_id,
        region,
        country,
        acquisition_channel,
        plan_code,
        version_number,
        applies_from_date,
        applies_to_date
    from {{ ref('dim_users_history') }}
    where applies_from_date < applies_to_date

),

user_segments as (

    select
        user_id,
        segment,
        applies_from_date,
        applies_to_date
    from {{ ref('int_user_segments') }}

),

-- The dates on which something but activity changes. Version 0 and an empty segment say that one
-- ended; where the next begins on the same date, that one is the greater.
changes as (

    select
        user_id,
        version_number,
        cast(null as varchar) as segment,
        applies_from_date as changed_date
    from user_history

    union all

    select
        user_id,
        0 as version_number,
        cast(null as varchar) as segment,
        applies_to_date as changed_date
    from user_history

    union all

    select
        user_id,
        cast(null as bigint) as version_number,
        segment,
        applies_from_date as changed_date
    from user_segments

    union all

    select
        user_id,
        cast(null as bigint) as version_number,
        '' as segment,
        applies_to_date as changed_date
    from user_segments

),

merged_changes as (

    select
        user_id,
        max(version_number) as version_number,
        max(segment) as segment,
        changed_date
    from changes
    group by
        user_id,
        changed_date

),

states as (

    select
        user_id,
        row_number() over (partition by user_id order by changed_date) as state_number,
        {{ last_known(
            'version_number', 'partition by user_id order by changed_date'
        ) }} as version_number,
        {{ last_known('segment', 'partition by user_id order by changed_date') }} as segment,
        changed_date
    from merged_changes

),

described_states as (

    select
        states.user_id,
        states.state_number,
        user_history.region,
        user_history.country,
        user_history.acquisition_channel,
        user_history.plan_code,
        nullif(states.segment, '') as segment,
        states.changed_date
    from states
    left join user_history
        on states.user_id = user_history.user_id
            and states.version_number = user_history.version_number

),

-- On one date the change comes before the activity, so that the activity's span has it.
points as (

    select
        user_id,
        1 as place,
        cast(null as bigint) as state_number,
        activity_date as active_date,
        activity_date as point_date
    from user_days

    union all

    select
        user_id,
        0 as place,
        state_number,
        cast(null as date) as active_date,
        changed_date as point_date
    from described_states

),

-- Both only grow from date to date: the greatest so far is the latest.
carried as (

    select
        user_id,
        max(state_number) over (
            partition by user_id order by point_date, place
            rows between unbounded preceding and current row
        ) as state_number,
        max(active_date) over (
            partition by user_id order by point_date, place
            rows between unbounded preceding and current row
        ) as active_date,
        point_date,
        lead(point_date) over (partition by user_id order by point_date, place) as next_point_date
    from points

),

spans as (

    select
        user_id,
        state_number,
        active_date,
        point_date as applies_from_date,
        least(
            coalesce(next_point_date, date '9999-12-31'),
            {{ date_add_days('active_date', longest_window) }}
        ) as applies_to_date
    from carried
    where active_date is not null

),

final as (

    select
        spans.user_id,
        user_days.platform,
        coalesce(described_states.region, user_days.event_region, 'unknown') as region,
        coalesce(described_states.country, user_days.event_country, 'unknown') as country,
        coalesce(described_states.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(described_states.plan_code, 'unknown') as plan_code,
        coalesce(described_states.segment, 'unknown') as segment,
        spans.active_date,
        spans.applies_from_date,
        spans.applies_to_date
    from spans
    inner join user_days
        on spans.user_id = user_days.user_id
            and spans.active_date = user_days.activity_date
    left join described_states
        on spans.user_id = described_states.user_id
            and spans.state_number = described_states.state_number
    where spans.applies_from_date < spans.applies_to_date

)

select * from final
