"""The lease: one holder at a time, tokens that only grow, and no wall clock in it.

Other machines are played by processes that call themselves another boot: they share nothing with
this one but the store, and so can tell a dead holder by its silence only.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import signal
import socket
import threading
import time
from datetime import UTC, datetime
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from synapse.errors import LeaseHeldError, LeaseLostError, SynapseError
from synapse.runner import lease as lease_module
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.lease_rows import LEASES
from synapse.runner.steady_clock import steady_seconds
from synapse.state_store import open_store
from synapse_tests.lakes import is_full_proof

RACERS = 4
TURNS = 1_000 if is_full_proof() else 200
SHORT = 3.0
SPAWN = multiprocessing.get_context("spawn")


def another_machine(number: int = 1) -> None:
    """Let this process pass for one of another machine, whose clock began at another time."""
    module: Any = lease_module
    module.this_boot = lambda: f"machine-{number}"
    module.process_space = lambda: f"machine-{number}"
    module.steady_seconds = lambda: steady_seconds() + 1_000_000.0 * number


def race(url: str, number: int, turns: int, folder: Path) -> None:
    """Take the lease again and again; say each time whether anybody else was in."""
    another_machine(number)
    module: Any = lease_module
    module._LONGEST_POLL = 0.002
    while True:
        try:
            names = ("lake", "schedule:daily")
            with (
                lease(url, f"racer-{number}", names, wait=60) as held,
                (folder / "inside").open("a") as inside,
            ):
                fcntl.flock(inside, fcntl.LOCK_EX | fcntl.LOCK_NB)
                inside.write(" ".join(str(held.tokens[name]) for name in names) + f" {number}\n")
                inside.flush()
                fcntl.flock(inside, fcntl.LOCK_UN)
        except LeaseHeldError:
            continue
        with (folder / "inside").open() as inside:
            if len(inside.read().splitlines()) >= turns:
                return


def test_however_often_they_race_there_is_never_a_second_holder(store: str, tmp_path: Path) -> None:
    """A second holder would find the lock of the first taken, and end with an error."""
    racers = [SPAWN.Process(target=race, args=(store, n, TURNS, tmp_path)) for n in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(150)
        assert racer.exitcode == 0
    turns = [
        tuple(map(int, line.split())) for line in (tmp_path / "inside").read_text().splitlines()
    ]
    assert len(turns) >= TURNS
    for column in (0, 1):
        tokens = [turn[column] for turn in turns]
        assert tokens == sorted(set(tokens)), "each token is greater than the one before"
    assert len({turn[2] for turn in turns}) == RACERS, "all of them had a turn"


def hold(url: str, folder: Path, machine: int | None, wall_clock_jumps: bool = False) -> None:
    """Hold the lease, stamping a file every 10 ms, until killed."""
    if machine is not None:
        another_machine(machine)
    with lease(url, "holder", seconds=SHORT) as held:
        (folder / "holds").write_text(str(held.tokens["lake"]))
        if wall_clock_jumps:
            jump(10**6)
        while True:
            # The machine's own clock, which both processes of the test read.
            (folder / "stamp").write_text(str(steady_seconds()))
            time.sleep(0.01)


def jump(seconds: int) -> None:
    """Set the wall clock, as far as Python can see it."""
    honest = time.time
    module: Any = time
    module.time = lambda: honest() + seconds


def started(url: str, folder: Path, *more: Any) -> SpawnProcess:
    process = SPAWN.Process(target=hold, args=(url, folder, *more))
    process.start()
    until(lambda: (folder / "stamp").exists())
    return process


def until(condition: Any, seconds: float = 20.0) -> None:
    end = steady_seconds() + seconds
    while not condition():
        assert steady_seconds() < end, "never came true"
        time.sleep(0.01)


def last_stamp(folder: Path) -> float:
    return float((folder / "stamp").read_text())


def test_a_holder_killed_on_this_machine_is_taken_over_at_once(store: str, tmp_path: Path) -> None:
    holder = started(store, tmp_path, None)
    with pytest.raises(LeaseHeldError, match="run holder"), lease(store, "successor"):
        pass
    holder.kill()
    holder.join()
    with lease(store, "successor") as held:
        assert held.tokens["lake"] == 2
        assert held.predecessors == ("holder",)


@pytest.mark.parametrize("jumps", [False, True], ids=["", "the wall clock jumps"])
def test_a_holder_killed_on_another_machine_is_taken_over_within_its_expiry(
    store: str, tmp_path: Path, jumps: bool
) -> None:
    holder = started(store, tmp_path, 7, jumps)
    time.sleep(SHORT * 1.5)  # it beats, or its lease would be over by now
    with pytest.raises(LeaseHeldError), lease(store, "successor", wait=0.2):
        pass
    holder.kill()
    holder.join()
    killed = steady_seconds()
    with lease(store, "successor", wait=30) as held:
        waited = steady_seconds() - killed
        assert held.tokens["lake"] == 2
    assert SHORT / 2 < waited < SHORT * 1.5


def test_who_does_not_wait_takes_over_too_once_it_has_seen_the_silence(
    store: str, tmp_path: Path
) -> None:
    """As cron does it: one process after the other, none of which stays to look."""
    holder = started(store, tmp_path, 7)
    holder.kill()
    holder.join()
    refused = 0
    began = steady_seconds()
    while True:
        try:
            with lease(store, "successor", wait=0):
                break
        except LeaseHeldError:
            refused += 1
            time.sleep(0.2)
    assert refused > 5
    assert SHORT < steady_seconds() - began < SHORT * 1.5


def test_a_stopped_holder_writes_nothing_behind_its_successor(store: str, tmp_path: Path) -> None:
    """SIGSTOP beyond the expiry: woken, it ends instead of going on."""
    holder = started(store, tmp_path, None)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGSTOP)
    with lease(store, "successor", wait=30, seconds=SHORT) as held:
        assert held.tokens["lake"] == 2
        os.kill(holder.pid, signal.SIGCONT)
        holder.join(SHORT)
        assert holder.exitcode == 1


class Relay:
    """A TCP relay before the store that can go silent, as a network does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.is_down = False
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if self.is_down:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._port))
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self.is_down:
                    time.sleep(0.01)  # nothing comes through, and nobody is told
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def relayed(server: str) -> tuple[str, Relay]:
    host = server.rpartition("/")[0]
    relay = Relay(int(host.rpartition(":")[2]))
    return server.replace(f":{host.rpartition(':')[2]}/", f":{relay.port}/"), relay


def reset(server: str) -> None:
    engine = open_store(server)
    with engine.begin() as connection:
        connection.execute(text("drop table if exists fenced_leases, lease_sightings"))
    engine.dispose()


def test_a_store_that_is_down_and_back_costs_nothing(
    server: str, relayed: tuple[str, Relay], tmp_path: Path
) -> None:
    reset(server)
    far, relay = relayed
    holder = started(far, tmp_path, None)
    relay.is_down = True
    time.sleep(SHORT / 2)
    relay.is_down = False
    time.sleep(SHORT * 1.5)
    assert holder.is_alive()
    assert steady_seconds() - last_stamp(tmp_path) < 1
    with pytest.raises(LeaseHeldError), lease(server, "successor"):
        pass
    holder.kill()
    holder.join()


def test_a_holder_that_cannot_beat_is_gone_before_its_successor_comes(
    server: str, relayed: tuple[str, Relay], tmp_path: Path
) -> None:
    reset(server)
    far, relay = relayed
    holder = started(far, tmp_path, 7)
    relay.is_down = True
    with lease(server, "successor", wait=30) as held:
        taken_over = steady_seconds()
        assert held.tokens["lake"] == 2
    holder.join(SHORT)
    assert holder.exitcode == 1, "it ended itself"
    assert last_stamp(tmp_path) < taken_over
    relay.is_down = False


def test_an_unreachable_store_is_one_sentence() -> None:
    url = "postgresql://synapse:secret@127.0.0.1:1/x"  # pragma: allowlist secret
    says = r"state store .*cannot be used"
    with pytest.raises(SynapseError, match=says) as error, lease(url, "run"):
        pass
    assert "secret" not in str(error.value)


def overtake(url: str) -> None:
    """What a successor on another machine does after the expiry."""
    engine = open_store(url)
    with engine.begin() as connection:
        connection.execute(update(LEASES).values(token=LEASES.c.token + 1, owner="a successor"))
    engine.dispose()


def test_who_was_overtaken_records_no_end(store: str) -> None:
    history = RunHistory(store)
    with lease(store, "sleeper") as held:
        history.start("sleeper", "daily", datetime(2026, 3, 1, tzinfo=UTC), lease=held)
        overtake(store)
        with pytest.raises(LeaseLostError, match="lost the lease 'lake'"):
            history.finish("sleeper", "succeeded", lease=held, landed=5)
    (run,) = history.latest()
    assert (run.status, run.landed) == ("running", 0)
    # Its release was a compare-and-set, too.
    with history.engine.connect() as connection:
        assert connection.execute(LEASES.select()).one().owner == "a successor"
    history.close()


def test_a_transaction_with_a_fence_keeps_a_successor_waiting(store: str) -> None:
    """Between the look at the token and the commit nobody comes in."""
    engine = open_store(store)
    order: list[str] = []

    def late() -> None:
        overtake(store)
        order.append("overtaken")

    with lease(store, "publisher") as held:
        with engine.begin() as connection:
            held.fence(connection)
            other = threading.Thread(target=late)
            other.start()
            time.sleep(0.3)
            order.append("published")
        other.join()
    assert order == ["published", "overtaken"]
    engine.dispose()


def test_all_names_or_none(store: str) -> None:
    with lease(store, "hourly", ("schedule:hourly", "lake")):
        with (
            pytest.raises(LeaseHeldError, match="'lake'"),
            lease(store, "daily", ("schedule:daily", "lake")),
        ):
            pass
        with lease(store, "other", "schedule:daily"):
            pass  # the refused one left nothing behind
    with lease(store, "daily", ("schedule:daily", "lake")) as held:
        assert held.predecessors == ()


def test_a_successor_marks_whom_it_has_taken_over_from(store: str, tmp_path: Path) -> None:
    holder = started(store, tmp_path, None)
    history = RunHistory(store)
    as_of = datetime(2026, 3, 1, tzinfo=UTC)
    history.start("holder", "hourly", as_of)
    holder.kill()
    holder.join()
    with lease(store, "next") as held:
        history.start("next", "hourly", as_of, lease=held)
        history.finish("next", "succeeded", lease=held)
    assert {run.run_id: run.status for run in history.latest()} == {
        "holder": "killed",
        "next": "succeeded",
    }
    history.close()
