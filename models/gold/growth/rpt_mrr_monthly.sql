{# Grain: one row per month (the current one flagged), currency and plan; `all` is their sum.
   Keys: month_start, currency, plan_code.
   Incremental: none; rebuilt whole by one sweep over the few changes of paying subscriptions.
   Rules: R7 (MRR and its movements, price of the time, nets per user in the all-plans row), R1. #}
{%- set movements = ['new', 'reactivated', 'expansion', 'contraction', 'churned'] -%}

with paying_spans as (

    select
        user_id,
        currency,
        plan_code,
        monthly_price_cents,
        applies_from_month,
        applies_to_month,
        valid_from
    from {{ ref('int_paying_spans') }}

),

dates as (

    select date_day
    from {{ ref('dim_dates') }}

),

first_payings as (

    select
        user_id,
        currency,
        {{ business_date('min(valid_from)') }} as first_paying_date
    from paying_spans
    group by
        user_id,
        currency

),

-- MRR changes between one month's start and the next; what holds at no month's start never shows.
steps as (

    select
        user_id,
        currency,
        plan_code,
        monthly_price_cents as change_cents,
        applies_from_month as step_month
    from paying_spans
    where applies_from_month < applies_to_month

    union all

    select
        user_id,
        currency,
        plan_code,
        -monthly_price_cents as change_cents,
        applies_to_month as step_month
    from paying_spans
    where applies_from_month < applies_to_month
        and applies_to_month < date '9999-12-01'

),

plan_changes as (

    select
        user_id,
        currency,
        plan_code,
        sum(change_cents) as change_cents,
        step_month
    from steps
    group by
        user_id,
        currency,
        plan_code,
        step_month

),

user_changes as (

    select
        user_id,
        currency,
        sum(change_cents) as change_cents,
        step_month
    from plan_changes
    group by
        user_id,
        currency,
        step_month

),

user_totals as (

    select
        user_id,
        currency,
        change_cents,
        sum(change_cents) over (
            partition by user_id, currency order by step_month
            rows between unbounded preceding and current row
        ) as closing_cents,
        step_month
    from user_changes

),

-- Whether somebody came or went is said of the person, not of a plan: who moves between plans is
-- neither new in one nor churned from the other.
movers as (

    select
        user_totals.user_id,
        user_totals.currency,
        user_totals.change_cents,
        case
            when user_totals.closing_cents = 0 then 'churned'
            when user_totals.closing_cents > user_totals.change_cents then 'stayed'
            when first_payings.first_paying_date
                >= {{ date_add_periods('month', 'user_totals.step_month', -1) }} then 'new'
            else 'reactivated'
        end as movement,
        user_totals.step_month
    from user_totals
    inner join first_payings
        on user_totals.user_id = first_payings.user_id
            and user_totals.currency = first_payings.currency

),

moved as (

    select
        plan_changes.currency,
        plan_changes.plan_code,
        plan_changes.change_cents,
        movers.movement,
        plan_changes.step_month
    from plan_changes
    inner join movers
        on plan_changes.user_id = movers.user_id
            and plan_changes.currency = movers.currency
            and plan_changes.step_month = movers.step_month

    union all

    select
        currency,
        'all' as plan_code,
        change_cents,
        movement,
        step_month
    from movers

),

months as (

    select
        cast(date_trunc('month', date_day) as date) as month_start,
        {{ date_add_days(
            date_add_periods('month', "cast(date_trunc('month', date_day) as date)", 1), -1
        ) }} <= {{ last_complete_date() }} as is_complete
    from dates
    group by cast(date_trunc('month', date_day) as date)

),

bounds as (

    select min(month_start) as first_month
    from months

),

-- The month before the first stands for all that came before: it makes the first opening.
spine as (

    select
        month_start,
        is_complete
    from months

    union all

    select
        {{ date_add_periods('month', 'first_month', -1) }} as month_start,
        true as is_complete
    from bounds

),

monthly as (

    select
        moved.currency,
        moved.plan_code,
        sum(
            case when moved.movement = 'new' then moved.change_cents else 0 end
        ) as new_cents,
        sum(
            case when moved.movement = 'reactivated' then moved.change_cents else 0 end
        ) as reactivated_cents,
        sum(
            case
                when moved.movement = 'stayed' and moved.change_cents > 0 then moved.change_cents
                else 0
            end
        ) as expansion_cents,
        sum(
            case
                when moved.movement = 'stayed' and moved.change_cents < 0 then -moved.change_cents
                else 0
            end
        ) as contraction_cents,
        sum(
            case when moved.movement = 'churned' then -moved.change_cents else 0 end
        ) as churned_cents,
        sum(moved.change_cents) as net_cents,
        greatest(
            {{ date_add_periods('month', 'moved.step_month', -1) }},
            {{ date_add_periods('month', 'bounds.first_month', -1) }}
        ) as month_start
    from moved
    cross join bounds
    group by
        moved.currency,
        moved.plan_code,
        greatest(
            {{ date_add_periods('month', 'moved.step_month', -1) }},
            {{ date_add_periods('month', 'bounds.first_month', -1) }}
        )

),

plans as (

    select distinct
        currency,
        plan_code
    from moved

),

dense as (

    select
        plans.currency,
        plans.plan_code,
        {%- for movement in movements %}
        cast(coalesce(monthly.{{ movement }}_cents, 0) as bigint) as {{ movement }}_mrr_cents,
        {%- endfor %}
        cast(coalesce(monthly.net_cents, 0) as bigint) as net_cents,
        cast(
            sum(coalesce(monthly.net_cents, 0)) over (
                partition by plans.currency, plans.plan_code order by spine.month_start
                rows between unbounded preceding and current row
            ) as bigint
        ) as closing_mrr_cents,
        spine.is_complete,
        spine.month_start
    from spine
    cross join plans
    left join monthly
        on plans.currency = monthly.currency
            and plans.plan_code = monthly.plan_code
            and spine.month_start = monthly.month_start

),

final as (

    select
        dense.currency,
        dense.plan_code,
        dense.closing_mrr_cents - dense.net_cents as opening_mrr_cents,
        {%- for movement in movements %}
        dense.{{ movement }}_mrr_cents,
        {%- endfor %}
        dense.closing_mrr_cents,
        dense.is_complete,
        dense.month_start
    from dense
    inner join bounds
        on dense.month_start >= bounds.first_month

)

select * from final
