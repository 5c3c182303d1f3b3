"""An hour on Athena reads the months that it concerns: a share of the tables that shrinks as they grow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyiceberg.table import Table

from athena_local.instance import Instance
from benchmarks.support.athena_lake import AthenaLake
from synapse_tests.athena_equality import glue_catalog

MODELS = ("base_dms__messages", "stg_dms__messages", "hist_dms__messages")
MONTHS = 4


@pytest.fixture(scope="module")
def lake(athena: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AthenaLake]:
    """Four months of messages, built."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in athena.environment().items():
            patch.setenv(name, value)
        lake = AthenaLake("pruning", tmp_path_factory.mktemp("pruning"), 30 * MONTHS, MODELS)
        lake.prepare()
        yield lake


def size(table: Table) -> int:
    """Bytes of the table's data files."""
    return int(sum(table.inspect.files()["file_size_in_bytes"].to_pylist()))


def test_an_hour_reads_of_silver_the_month_of_its_keys_and_an_old_key_costs_the_month_it_lies_in(
    lake: AthenaLake,
) -> None:
    base = glue_catalog().load_table(("pruning_silver", "base_dms__messages"))
    assert base.spec().fields[0].transform.root_type == "month"
    whole = size(base)
    recent = lake.hour()
    # To append asks for keys and commit times, to fold for all columns; stg_ is read for its keys.
    assert recent["base_dms__messages"] < whole / MONTHS
    assert recent["stg_dms__messages"] < 1.5 * whole / MONTHS
    assert recent["hist_dms__messages"] < 3 * whole / MONTHS
    old = lake.hour(old_changes=1)
    extra = old["stg_dms__messages"] - recent["stg_dms__messages"]
    assert 0 < extra < 1.5 * whole / MONTHS
