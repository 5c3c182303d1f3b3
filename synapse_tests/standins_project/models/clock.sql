select
    {{ dbt_date.today() }} as today,
    {{ dbt_date.now() }} as now_at,
    {{ dbt_date.convert_timezone("cast('2026-01-01 02:00:00' as timestamp)", "America/Sao_Paulo", "UTC") }}
        as local_at
