{# Grain: one row per event name that the product's own records can vouch for.
   Keys: event_name.
   Incremental: none; five rows, rebuilt from what ingest accepted.
   Rules: R2, R8 (an app event of such a name counts only where the fact's source never landed). #}
with fact_sources as (

    select
        fact_source.event_name,
        fact_source.source
    from (
        values
        ('message_sent', 'dms.synapse.messages'),
        ('message_sent', 'kconnect.conversations'),
        ('conversation_started', 'dms.synapse.conversations'),
        ('conversation_started', 'kconnect.conversations'),
        ('trial_started', 'dms.synapse.subscriptions'),
        ('subscription_canceled', 'dms.synapse.subscriptions'),
        ('payment_paid', 'dms.synapse.payments')
    ) as fact_source (event_name, source)

),

-- The files, not the rows: an empty table that landed is a source that says "none so far".
landed_sources as (

    select distinct files_accepted.source
    from {{ ops_relation('files_accepted') }} as files_accepted

),

final as (

    select
        fact_sources.event_name,
        count(landed_sources.source) > 0 as is_landed
    from fact_sources
    left join landed_sources
        on fact_sources.source = landed_sources.source
    group by fact_sources.event_name

)

select * from final
