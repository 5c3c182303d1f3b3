{{ dbt_utils.date_spine("day", "cast('2026-01-01' as date)", "cast('2026-01-04' as date)") }}
