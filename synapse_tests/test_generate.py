"""`synapse generate`: same seed same bytes, days can be appended, a product to believe in."""

import csv
import hashlib
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from synapse.errors import SynapseError, UsageError
from synapse.generate.calendar import easter, holidays
from synapse.generate.catalogue import MODELS
from synapse.generate.events import ACTIVE_SIGNALS, EVENT_NAMES, UNDOCUMENTED
from synapse.generate.hazards import Level
from synapse.generate.service import GenerateReport, generate
from synapse_tests.bronze_reader import Row, rows_of

SEEDS = Path(__file__).parent.parent / "seeds"
LEVELS: tuple[Level, ...] = ("none", "normal", "hostile")
DAYS = 16


def make(lake: Path, *, days: int, hazards: Level, append: bool = False) -> GenerateReport:
    return generate(lake, users=240, days=days, seed=11, append=append, hazards=hazards)


def digest(lake: Path) -> dict[str, str]:
    return {
        path.relative_to(lake).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(lake.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> dict[Level, Path]:
    root = tmp_path_factory.mktemp("generated")
    for level in LEVELS:
        make(root / level, days=DAYS, hazards=level)
    return {level: root / level for level in LEVELS}


# --- bytes ---------------------------------------------------------------------------------------


def test_same_seed_same_bytes(lakes: dict[Level, Path], tmp_path: Path) -> None:
    make(tmp_path / "again", days=DAYS, hazards="hostile")
    assert digest(tmp_path / "again") == digest(lakes["hostile"])


def test_another_seed_is_another_product(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate(tmp_path / str(seed), users=60, days=2, seed=seed, append=False, hazards="none")
    assert digest(tmp_path / "1") != digest(tmp_path / "2")


@pytest.mark.parametrize(
    ("level", "first", "added"), [("none", 3, 1), ("normal", 5, 2), ("hostile", 4, 2)]
)
def test_appended_days_leave_the_bytes_of_one_run(
    tmp_path: Path, level: Level, first: int, added: int
) -> None:
    make(tmp_path / "grown", days=first, hazards=level)
    for _ in range(added):
        make(tmp_path / "grown", days=1, hazards=level, append=True)
    make(tmp_path / "whole", days=first + added, hazards=level)
    assert digest(tmp_path / "grown") == digest(tmp_path / "whole")


def test_append_never_touches_what_landed_before_but_for_a_reload(tmp_path: Path) -> None:
    make(tmp_path, days=5, hazards="normal")
    before = {path: sha for path, sha in digest(tmp_path).items() if path.startswith("bronze/")}
    make(tmp_path, days=1, hazards="normal", append=True)
    after = digest(tmp_path)
    assert {path: after[path] for path in before} == before


# --- refusals ------------------------------------------------------------------------------------


def test_an_occupied_lake_is_refused_with_its_path_and_the_way_out(tmp_path: Path) -> None:
    make(tmp_path, days=1, hazards="none")
    before = digest(tmp_path)
    with pytest.raises(SynapseError, match=r"bronze is not empty: .*--append"):
        make(tmp_path, days=1, hazards="none")
    assert digest(tmp_path) == before


def test_nothing_to_append_to(tmp_path: Path) -> None:
    with pytest.raises(SynapseError, match=r"generator\.json does not exist"):
        make(tmp_path, days=1, hazards="none", append=True)
    assert not list(tmp_path.iterdir())


def test_a_broken_plan_is_named(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "generator.json").write_text('{"seed": 1}')
    with pytest.raises(SynapseError, match=r"generator\.json cannot be read"):
        make(tmp_path, days=1, hazards="none", append=True)


def test_a_lake_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("")
    with pytest.raises(SynapseError, match="is not a folder"):
        make(tmp_path / "lake", days=1, hazards="none")


def test_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        make(tmp_path, days=0, hazards="none")
    with pytest.raises(UsageError, match="unknown hazards 'wild'"):
        make(tmp_path, days=1, hazards="wild")  # type: ignore[arg-type]


# --- the product ---------------------------------------------------------------------------------


def test_easter_and_the_holidays_that_move_with_it() -> None:
    assert easter(2026) == date(2026, 4, 5)
    assert {date(2026, 4, 3), date(2026, 6, 4), date(2026, 2, 17)} <= holidays(2026)


def test_seeds_and_generator_agree() -> None:
    with (SEEDS / "tracking_plan.csv").open() as file:
        plan = {row["event_name"]: row for row in csv.DictReader(file)}
    active = {name for name, row in plan.items() if row["is_active_signal"] == "true"}
    assert active == ACTIVE_SIGNALS
    assert set(plan) == set(EVENT_NAMES) - set(UNDOCUMENTED)
    with (SEEDS / "model_prices.csv").open() as file:
        assert {row["model"] for row in csv.DictReader(file)} == {one.name for one in MODELS}


def test_events_carry_what_the_tracking_plan_requires(lakes: dict[Level, Path]) -> None:
    with (SEEDS / "tracking_plan.csv").open() as file:
        required = {
            row["event_name"]: set(filter(None, row["required_properties"].split("|")))
            for row in csv.DictReader(file)
        }
    events = rows_of(lakes["none"] / "truth" / "events.parquet")
    assert {event["event_name"] for event in events} == set(required)
    for event in events:
        assert required[event["event_name"]] <= set(json.loads(event["properties"]))


def test_the_product_is_believable(lakes: dict[Level, Path]) -> None:
    truth = lakes["none"] / "truth"
    users = rows_of(truth / "users.parquet")
    assert all(user["cpf"] == with_check_digits(user["cpf"][:9]) for user in users)
    assert all(user["phone"].startswith("+55") for user in users)
    assert {user["is_internal"] for user in users} == {True, False}
    requests = [
        json.loads(event["properties"])["status"]
        for event in rows_of(truth / "events.parquet")
        if event["event_name"] == "api_request"
    ]
    assert 0.001 < sum(status >= 500 for status in requests) / len(requests) < 0.02
    statuses = {row["status"] for row in rows_of(truth / "subscriptions.parquet")}
    assert {"trialing", "active", "canceled"} <= statuses
    assert len({row["monthly_price_cents"] for row in rows_of(truth / "plans.parquet")}) == 4
    changes = [row for row in rows_of(truth / "history_users.parquet") if row["op"] != "D"]
    people = {user["user_id"]: user for user in changes}
    for message in rows_of(truth / "messages.parquet"):
        assert message["sent_at"] >= people[message["user_id"]]["created_at"]


def with_check_digits(body: str) -> str:
    for size in (10, 11):
        total = sum(int(digit) * (size - place) for place, digit in enumerate(body))
        body += str(total * 10 % 11 % 10)
    return body


# --- what lands ----------------------------------------------------------------------------------


def test_only_hazards_make_files_late_and_they_do(lakes: dict[Level, Path]) -> None:
    for level in LEVELS:
        arrivals = rows_of(lakes[level] / "truth" / "arrivals.parquet")
        plan = json.loads((lakes[level] / "truth" / "generator.json").read_text())
        start = date.fromisoformat(plan["start_date"])
        late = [
            one
            for one in arrivals
            if one["version"] == 1 and start + timedelta(days=one["arrival_day"]) > folder_day(one)
        ]
        assert bool(late) == (level != "none")
        assert min((one["arrival_day"] for one in late), default=0) < DAYS - 3
        assert max(one["arrival_day"] for one in arrivals) == DAYS - 1


def folder_day(arrival: Row) -> date:
    """The last business date that a file of the arrival's folder can belong to."""
    parts = arrival["path"].split("/")
    if "LOAD" in parts[-1]:
        return date.max
    numbers = [part.split("=")[-1] for part in parts[4:7]]
    return date(*(int(number) for number in numbers))


def test_files_are_where_their_writers_put_them(lakes: dict[Level, Path]) -> None:
    lake = lakes["hostile"]
    arrivals = rows_of(lake / "truth" / "arrivals.parquet")
    landed = {path for path in digest(lake) if path.startswith("bronze/")}
    assert {one["path"] for one in arrivals} == landed
    assert "bronze/dms/synapse/messages/LOAD0000000A.parquet" in landed
    assert any(one["version"] == 3 for one in arrivals), "two reloads by day 13"
    for one in arrivals:
        assert (lake / one["copy"]).is_file()
    assert len(landed) / DAYS < 45


def test_columns_of_change_files(lakes: dict[Level, Path]) -> None:
    lake = lakes["hostile"]
    users, messages = [
        [pq.read_schema(path) for path in readable(lake / f"bronze/dms/synapse/{table}/2026")]
        for table in ("users", "messages")
    ]
    assert all(schema.names[:2] == ["Op", "dms_committed_at"] for schema in users + messages)
    assert {"marketing_opt_in" in schema.names for schema in users} == {True, False}
    assert {str(schema.field("token_count").type) for schema in messages} == {"int32", "int64"}
    assert all("BI_message_id" in schema.names for schema in messages)


def readable(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.parquet")):
        if path.read_bytes()[-4:] == b"PAR1":
            yield path
