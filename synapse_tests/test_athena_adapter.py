"""The suites that every dbt adapter is held to, on the local Athena: Hive's tables and Iceberg's.

A representative part of dbt-tests-adapter; `make athena-suite` runs dbt-athena's own suite whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dbt.tests.adapter.aliases.fixtures import MACROS__EXPECT_VALUE_SQL
from dbt.tests.adapter.aliases.test_aliases import BaseAliases
from dbt.tests.adapter.basic.files import schema_base_yml, seeds_base_csv
from dbt.tests.adapter.basic.test_base import BaseSimpleMaterializations
from dbt.tests.adapter.basic.test_empty import BaseEmpty
from dbt.tests.adapter.basic.test_ephemeral import BaseEphemeral
from dbt.tests.adapter.basic.test_generic_tests import BaseGenericTests
from dbt.tests.adapter.basic.test_incremental import BaseIncremental
from dbt.tests.adapter.basic.test_singular_tests import BaseSingularTests
from dbt.tests.adapter.basic.test_singular_tests_ephemeral import BaseSingularTestsEphemeral
from dbt.tests.adapter.basic.test_validate_connection import BaseValidateConnection
from dbt.tests.adapter.dbt_show.test_dbt_show import BaseShowLimit
from dbt.tests.adapter.incremental.test_incremental_merge_exclude_columns import (
    BaseMergeExcludeColumns,
)
from dbt.tests.adapter.relations.test_changing_relation_type import BaseChangeRelationTypeValidator
from dbt.tests.adapter.unit_testing.test_case_insensitivity import BaseUnitTestCaseInsensivity
from dbt.tests.adapter.utils.test_any_value import BaseAnyValue
from dbt.tests.adapter.utils.test_bool_or import BaseBoolOr
from dbt.tests.adapter.utils.test_concat import BaseConcat
from dbt.tests.adapter.utils.test_date_trunc import BaseDateTrunc
from dbt.tests.adapter.utils.test_except import BaseExcept
from dbt.tests.adapter.utils.test_hash import BaseHash
from dbt.tests.adapter.utils.test_intersect import BaseIntersect
from dbt.tests.adapter.utils.test_length import BaseLength
from dbt.tests.util import run_dbt

from athena_local.instance import Instance

pytest_plugins = ["dbt.tests.fixtures.project"]
# The adapter and the suites themselves are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

# Iceberg's timestamps have six digits, a seed's three: the suites' dates stay text there.
ICEBERG: dict[str, Any] = {
    "models": {"+table_type": "iceberg", "+incremental_strategy": "append"},
    "seeds": {"+column_types": {"some_date": "varchar"}},
}


@pytest.fixture(scope="module", autouse=True)
def environment(athena: Instance) -> Iterator[dict[str, str]]:
    """The local Athena's places in this process, where dbt runs."""
    found = athena.environment()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        yield found


@pytest.fixture(scope="class")
def dbt_profile_target(environment: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "athena",
        "threads": 4,
        "region_name": environment["AWS_REGION"],
        "database": "awsdatacatalog",
        "schema": "unused",
        "work_group": "primary",
        "s3_staging_dir": f"{environment['SYNAPSE_ATHENA_STAGING']}adapter/",
        "poll_interval": 0.1,
        "num_retries": 1,
    }


class Iceberg:
    """Every table of the project is Iceberg's."""

    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return ICEBERG


class TestConnection(BaseValidateConnection):
    pass


class TestMaterializationsHive(BaseSimpleMaterializations):
    pass


class TestMaterializationsIceberg(Iceberg, BaseSimpleMaterializations):
    pass


class TestSingularTests(BaseSingularTests):
    pass


class TestSingularTestsEphemeral(BaseSingularTestsEphemeral):
    pass


class TestEmpty(BaseEmpty):
    pass


class TestEphemeralHive(BaseEphemeral):
    pass


class TestEphemeralIceberg(Iceberg, BaseEphemeral):
    pass


class TestGenericTestsHive(BaseGenericTests):
    pass


class TestGenericTestsIceberg(Iceberg, BaseGenericTests):
    pass


class TestIncrementalHive(BaseIncremental):
    pass


class TestIncrementalIceberg(Iceberg, BaseIncremental):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        merge = {"+incremental_strategy": "merge", "+unique_key": "id"}
        return {**ICEBERG, "models": {**ICEBERG["models"], **merge}}


class TestMergeExcludeColumnsIceberg(Iceberg, BaseMergeExcludeColumns):
    pass


class TestChangeRelationTypesHive(BaseChangeRelationTypeValidator):
    pass


class TestAliases(BaseAliases):
    @pytest.fixture(scope="class")
    def macros(self) -> dict[str, str]:
        # The suite's own literal is PostgreSQL's: 'text'::text.
        literal = "{% macro string_literal(s) %}cast('{{ s }}' as varchar){% endmacro %}"
        return {"cast.sql": literal, "expect_value.sql": MACROS__EXPECT_VALUE_SQL}


class TestShowLimit(BaseShowLimit):
    pass


class TestUnitTests(BaseUnitTestCaseInsensivity):
    pass


class TestAnyValue(BaseAnyValue):
    pass


class TestBoolOr(BaseBoolOr):
    pass


class TestConcat(BaseConcat):
    pass


class TestDateTrunc(BaseDateTrunc):
    pass


class TestExcept(BaseExcept):
    pass


class TestHash(BaseHash):
    pass


class TestIntersect(BaseIntersect):
    pass


class TestLength(BaseLength):
    pass


SNAPSHOT = """
{% snapshot changes %}
{{ config(
    target_schema=schema, unique_key='id', strategy='check', check_cols=['name'],
    table_type=var('table_type')
) }}
select id, name from {{ ref('base') }} where id <> {{ var('left_out', 0) }}
union all
select 100, '{{ var("name", "first") }}'
{% endsnapshot %}
"""


class TestSnapshot:
    """Changed rows are closed and opened anew, for both kinds of tables."""

    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return {"name": "snapshots"}

    @pytest.fixture(scope="class")
    def seeds(self) -> dict[str, str]:
        return {"base.csv": seeds_base_csv}

    @pytest.fixture(scope="class")
    def models(self) -> dict[str, str]:
        return {"schema.yml": schema_base_yml}

    @pytest.fixture(scope="class")
    def snapshots(self) -> dict[str, str]:
        return {"changes.sql": SNAPSHOT}

    @pytest.mark.parametrize("table_type", ["iceberg", "hive"])
    def test_versions(self, project: Any, table_type: str) -> None:
        def variables(name: str) -> list[str]:
            return ["--vars", f"{{table_type: {table_type}, name: {name}}}"]

        run_dbt(["seed", *variables("first")])
        project.run_sql(f"drop table if exists {project.test_schema}.changes")
        for name in ("first", "second", "second", "third"):
            run_dbt(["snapshot", *variables(name)])
        rows = project.run_sql(
            "select name, dbt_valid_to is null from "
            f"{project.test_schema}.changes where id = 100 order by dbt_valid_from",
            fetch="all",
        )
        assert rows == [("first", False), ("second", False), ("third", True)]
        total = project.run_sql(f"select count(*) from {project.test_schema}.changes", fetch="one")
        assert total == (10 + 3,)
