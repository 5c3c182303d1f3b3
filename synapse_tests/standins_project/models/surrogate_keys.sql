select
    {{ dbt_utils.generate_surrogate_key(["id", "letter"]) }} as surrogate_key,
    md5(
        cast(id as varchar) || '-' || coalesce(letter, '_dbt_utils_surrogate_key_null_')
    ) as expected_key,
    {{ dbt_utils.star(ref("numbers"), except=["address"]) }}
from {{ ref("numbers") }}
