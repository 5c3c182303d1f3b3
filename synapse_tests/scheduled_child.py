"""What a scheduler starts in the tests: a run with lease, claim and history, and no dbt.

Its command line is `synapse run`'s as far as the scheduler uses it. It notes in a file what it does
and works as long as the file `seconds` beside it says.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from datetime import datetime
from pathlib import Path

from synapse.errors import LeaseHeldError
from synapse.runner.history import RunHistory
from synapse.runner.lease import lease
from synapse.runner.plan import leases
from synapse.runner.run_ledger import RunLedger, RunPlan
from synapse.runner.time_limit import stoppable
from synapse.schedules.claims import Claim, OccurrenceDoneError
from synapse.schedules.load import load_schedules


def main() -> int:
    """Run once; exit codes as `synapse run` has them."""
    state, folder, _, time_text, name = sys.argv[1:]
    occurs_at = datetime.fromisoformat(time_text)
    notes = Path(folder) / "notes"
    schedules = load_schedules(Path(folder))
    history = RunHistory(state)
    ledger = RunLedger(history.engine)
    run_id = uuid.uuid4().hex

    def note(what: str) -> None:
        descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{what} {name} {time_text} {os.getpid()}\n".encode())
        os.close(descriptor)

    try:
        with lease(state, run_id, leases(schedules, [name])) as held:
            claim = Claim(name, occurs_at)
            history.start(run_id, name, occurs_at, lease=held, within=claim)
            plan = RunPlan(run_id, (name,), (), None, False, False)
            with history.engine.begin() as connection:
                ledger.plan(connection, plan, occurs_at, "UTC")
            note("begun")
            try:
                with stoppable(schedules[name].timeout, lambda _: None):
                    time.sleep(float((Path(folder) / "seconds").read_text()))
            except KeyboardInterrupt:
                note("stopped")
                history.finish(run_id, "killed", lease=held)
                return 1
            history.finish(run_id, "succeeded", lease=held)
            note("ended")
    except LeaseHeldError:
        return 3
    except OccurrenceDoneError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
