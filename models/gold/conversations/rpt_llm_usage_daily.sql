{# Grain: one row per language model and business date (first event to as-of), with zeros.
   Keys: model, usage_date.
   Incremental: dates of which a message changed, however old they are, and those new in the calendar.
   Rules: R15 (tokens, cost at the price of the time, mean sentiment), R2 (internal users), R1. #}
{{ incremental_fact(
    key=['model', 'usage_date'], void='message_count', dated_by='usage_date',
    follows=['fct_messages']
) }}
{%- set scope = fact_scope() %}
{%- set grouped_dates = dates_to_group('fct_messages', 'sent_date', 'usage_date')
    if scope == 'some' %}
with messages as (

    select
        -- The name that messages and prices have.
        coalesce(model, 'unknown') as model, -- noqa: RF04
        role,
        token_count,
        sentiment,
        sent_date
    from {{ ref('fct_messages') }}
    where not is_internal
    {%- if scope == 'some' %}
        and {{ date_is_among('sent_date', grouped_dates) }}
    {%- endif %}

),

listed_prices as (

    select
        model,
        valid_from,
        input_price_cents_per_million,
        output_price_cents_per_million
    from {{ ref('model_prices') }}

),

dates as (

    select
        date_day,
        is_complete
    from {{ ref('dim_dates') }}

),

prices as (

    select
        model,
        input_price_cents_per_million,
        output_price_cents_per_million,
        valid_from,
        lead(valid_from) over (partition by model order by valid_from) as valid_to
    from listed_prices

),

counted as (

    select
        model,
        sent_date,
        count(*) as message_count,
        coalesce(sum(case when role = 'assistant' then 0 else token_count end), 0) as input_count,
        coalesce(sum(case when role = 'assistant' then token_count else 0 end), 0) as output_count,
        count(sentiment) as scored_count,
        {{ decimal_mean('sum(sentiment)', 'count(sentiment)') }} as mean_sentiment
    from messages
    group by
        model,
        sent_date

    {%- if scope == 'some' %}

    union all

    select
        model,
        usage_date as sent_date,
        message_count,
        input_token_count as input_count,
        output_token_count as output_count,
        scored_message_count as scored_count,
        mean_sentiment
    from {{ this }}
    where message_count > 0
        and not {{ date_is_among('usage_date', grouped_dates) }}
    {%- endif %}

),

-- A model that is used on no date of the calendar has no zeros either.
models as (

    select distinct counted.model
    from counted
    inner join dates
        on counted.sent_date = dates.date_day

),

dense as (

    select
        models.model,
        coalesce(counted.message_count, 0) as message_count,
        cast(coalesce(counted.input_count, 0) as bigint) as input_count,
        cast(coalesce(counted.output_count, 0) as bigint) as output_count,
        coalesce(counted.scored_count, 0) as scored_count,
        counted.mean_sentiment,
        dates.is_complete,
        dates.date_day
    from models
    cross join dates
    left join counted
        on models.model = counted.model
            and dates.date_day = counted.sent_date

),

-- One price holds on a date, so a row is priced as a whole or, without a price, not at all.
final as (

    select
        dense.model,
        dense.message_count,
        dense.input_count as input_token_count,
        dense.output_count as output_token_count,
        dense.input_count + dense.output_count as token_count,
        -- Tokens times cents with four places, then shifted by six: nothing is ever rounded.
        cast(
            cast(
                cast(dense.input_count as decimal(18, 0)) * prices.input_price_cents_per_million
                + cast(dense.output_count as decimal(18, 0)) * prices.output_price_cents_per_million
                as decimal(28, 4)
            ) * {{ decimal_literal('0.000001') }}
            as decimal(28, 10)
        ) as cost_cents,
        dense.scored_count as scored_message_count,
        dense.mean_sentiment,
        dense.is_complete,
        dense.date_day as usage_date
    from dense
    left join prices
        on dense.model = prices.model
            and dense.date_day >= prices.valid_from
            and (prices.valid_to is null or dense.date_day < prices.valid_to)

)

{{ changed_rows('final', 'all') }}
