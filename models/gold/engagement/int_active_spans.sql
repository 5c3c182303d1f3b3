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

-- The dates on which something about a person changes. Version 0 and an empty segment say that one
-- ended; where the next begins on the same date, that one is the greater.
points as (

    select
        user_id,
        activity_date as active_date,
        cast(null as bigint) as version_number,
        cast(null as varchar) as segment,
        activity_date as point_date
    from user_days

    union all

    select
        user_id,
        cast(null as date) as active_date,
        version_number,
        cast(null as varchar) as segment,
        applies_from_date as point_date
    from user_history

    union all

    select
        user_id,
        cast(null as date) as active_date,
        0 as version_number,
        cast(null as varchar) as segment,
        applies_to_date as point_date
    from user_history

    union all

    select
        user_id,
        cast(null as date) as active_date,
        cast(null as bigint) as version_number,
        segment,
        applies_from_date as point_date
    from user_segments

    union all

    select
        user_id,
        cast(null as date) as active_date,
        cast(null as bigint) as version_number,
        '' as segment,
        applies_to_date as point_date
    from user_segments

),

merged as (

    select
        user_id,
        max(active_date) as active_date,
        max(version_number) as version_number,
        max(segment) as segment,
        point_date
    from points
    group by
        user_id,
        point_date

),

carried as (

    select
        user_id,
        {{ last_known('active_date', 'partition by user_id order by point_date') }} as active_date,
        {{ last_known(
            'version_number', 'partition by user_id order by point_date'
        ) }} as version_number,
        {{ last_known('segment', 'partition by user_id order by point_date') }} as segment,
        point_date,
        lead(point_date) over (partition by user_id order by point_date) as next_point_date
    from merged

),

spans as (

    select
        user_id,
        active_date,
        version_number,
        segment,
        point_date as applies_from_date,
        least(
            coalesce(next_point_date, date '9999-12-31'),
            {{ date_add_days('active_date', longest_window) }}
        ) as applies_to_date
    from carried
    where active_date is not null
        and point_date < {{ date_add_days('active_date', longest_window) }}

),

final as (

    select
        spans.user_id,
        user_days.platform,
        coalesce(user_history.region, user_days.event_region, 'unknown') as region,
        coalesce(user_history.country, user_days.event_country, 'unknown') as country,
        coalesce(user_history.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(user_history.plan_code, 'unknown') as plan_code,
        coalesce(nullif(spans.segment, ''), 'unknown') as segment,
        spans.active_date,
        spans.applies_from_date,
        spans.applies_to_date
    from spans
    inner join user_days
        on spans.user_id = user_days.user_id
            and spans.active_date = user_days.activity_date
    left join user_history
        on spans.user_id = user_history.user_id
            and spans.version_number = user_history.version_number

)

select * from final
