{# Growth reports that say one thing twice say the same: registered people (R13), MRR of plans,
   months and customers (R7), lifecycle of the last complete week (R4).
   Fails when: two reports count different people, or a movement of MRR is lost between months.
   Who fixes it: growth. #}
with growth as (

    select
        registered_users,
        signed_up_users + rejoined_users - left_users as change_users,
        lag(registered_users) over (order by activity_date) as registered_users_before,
        activity_date
    from {{ ref('rpt_user_growth') }}

),

segments as (

    select
        sum(user_count) as user_count,
        activity_date
    from {{ ref('rpt_user_segments') }}
    group by activity_date

),

regions as (

    select
        sum(registered_users) as registered_users,
        activity_date
    from {{ ref('rpt_regional_adoption') }}
    group by activity_date

),

mrr as (

    select
        currency,
        plan_code,
        opening_mrr_cents,
        closing_mrr_cents,
        lag(closing_mrr_cents) over (
            partition by currency, plan_code order by month_start
        ) as closing_before_cents,
        month_start
    from {{ ref('rpt_mrr_monthly') }}

),

mrr_of_plans as (

    select
        currency,
        sum(case when plan_code = 'all' then closing_mrr_cents else 0 end) as all_cents,
        sum(case when plan_code = 'all' then 0 else closing_mrr_cents end) as added_cents,
        month_start
    from mrr
    group by
        currency,
        month_start

),

customers as (

    select
        user_id,
        lifecycle_stage,
        currency,
        currency_count,
        mrr_cents
    from {{ ref('rpt_customer_360') }}

),

last_month as (

    select max(month_start) as month_start
    from mrr

),

lifecycle as (

    select
        new_users,
        returning_users,
        resurrected_users,
        dormant_users
    from {{ ref('rpt_lifecycle') }}
    where period_grain = 'week'
        and period_start = (
            select max(last_weeks.period_start)
            from {{ ref('rpt_lifecycle') }} as last_weeks
            where last_weeks.period_grain = 'week'
                and last_weeks.is_complete
        )

),

compared as (

    select
        'registered people and their changes' as claim,
        cast(activity_date as varchar) as part,
        registered_users as one_count,
        registered_users_before + change_users as other_count
    from growth
    where registered_users_before is not null

    union all

    select
        'registered people and segments' as claim,
        cast(growth.activity_date as varchar) as part,
        growth.registered_users as one_count,
        segments.user_count as other_count
    from growth
    left join segments
        on growth.activity_date = segments.activity_date

    union all

    select
        'registered people and regions' as claim,
        cast(growth.activity_date as varchar) as part,
        growth.registered_users as one_count,
        coalesce(regions.registered_users, 0) as other_count
    from growth
    left join regions
        on growth.activity_date = regions.activity_date

    union all

    select
        'opening MRR and the closing before' as claim,
        concat(currency, ' ', plan_code, ' ', cast(month_start as varchar)) as part,
        opening_mrr_cents as one_count,
        closing_before_cents as other_count
    from mrr
    where closing_before_cents is not null

    union all

    select
        'MRR of all plans and of each' as claim,
        concat(currency, ' ', cast(month_start as varchar)) as part,
        all_cents as one_count,
        added_cents as other_count
    from mrr_of_plans

    union all

    select
        'MRR of all plans and of customers' as claim,
        mrr.currency as part,
        max(mrr.closing_mrr_cents) as one_count,
        sum(coalesce(customers.mrr_cents, 0)) as other_count
    from mrr
    inner join last_month
        on mrr.month_start = last_month.month_start
    left join customers
        on mrr.currency = customers.currency
    where mrr.plan_code = 'all'
    group by mrr.currency
    -- Amounts of a second currency of a customer are not in their row.
    having max(coalesce(customers.currency_count, 0)) <= 1

    {% for stage in ['new', 'returning', 'resurrected', 'dormant'] %}
    union all

    select
        'lifecycle and customers' as claim,
        '{{ stage }}' as part,
        max(lifecycle.{{ stage }}_users) as one_count,
        count(customers.user_id) as other_count
    from lifecycle
    left join customers
        on customers.lifecycle_stage = '{{ stage }}'
    having count(*) > 0
    {% endfor %}
)

select
    claim,
    part,
    one_count,
    other_count
from compared
where one_count <> other_count
