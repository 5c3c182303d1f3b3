{# R13: on each of the newest three dates, everybody registered is in exactly one segment, counted
   without the sweep.
   Fails when: a span of a segment starts or ends on a wrong date, or a segment is missing.
   Who fixes it: growth. #}
with reported as (

    select
        activity_date,
        sum(user_count) as reported_count
    from {{ ref('rpt_user_segments') }}
    where activity_date >= {{ date_add_days(last_complete_date(), -1) }}
    group by activity_date

),

registered as (

    select
        user_id,
        applies_from_date,
        applies_to_date
    from {{ ref('int_registered_spans') }}

),

user_segments as (

    select
        user_id,
        applies_from_date,
        applies_to_date
    from {{ ref('int_user_segments') }}

),

expected as (

    select
        reported.activity_date,
        reported.reported_count,
        count(registered.user_id) as registered_count
    from reported
    left join registered
        on reported.activity_date >= registered.applies_from_date
            and reported.activity_date < registered.applies_to_date
    group by
        reported.activity_date,
        reported.reported_count

),

segmented as (

    select
        reported.activity_date,
        count(user_segments.user_id) as segment_count,
        count(distinct user_segments.user_id) as segmented_count
    from reported
    left join user_segments
        on reported.activity_date >= user_segments.applies_from_date
            and reported.activity_date < user_segments.applies_to_date
    group by reported.activity_date

)

select
    expected.activity_date,
    expected.reported_count,
    expected.registered_count,
    segmented.segment_count,
    segmented.segmented_count
from expected
inner join segmented
    on expected.activity_date = segmented.activity_date
where expected.reported_count <> expected.registered_count
    or segmented.segment_count <> expected.registered_count
    or segmented.segmented_count <> expected.registered_count
