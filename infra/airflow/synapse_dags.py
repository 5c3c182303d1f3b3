"""Airflow's view of schedules.yml: one DAG for each schedule, at its times, once.

Copy this file into Airflow's dags folder. It needs Airflow and PyYAML, which Airflow brings;
Synapse itself lies in an environment of its own, because dbt and Airflow pin different packages.

SYNAPSE_PROJECT   folder of schedules.yml; the repository where this file lies in it
SYNAPSE_COMMAND   how `synapse` is called, for example "/opt/synapse/bin/synapse"; lake, state and
                  secrets come from its environment (SYNAPSE_LAKE, SYNAPSE_STATE, ...)
SYNAPSE_TARGET    engine to build on; athena where it is not set
SYNAPSE_BUSINESS_TIMEZONE

What waits for what, for how long and how often it is tried again is Synapse's: each time of a
schedule is claimed in its state store, so a DAG beside cron or Step Functions runs nothing twice.
"""

from __future__ import annotations

import os
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronTriggerTimetable

PROJECT = Path(os.environ.get("SYNAPSE_PROJECT") or Path(__file__).resolve().parents[2])
COMMAND = os.environ.get("SYNAPSE_COMMAND") or "synapse"
TARGET = os.environ.get("SYNAPSE_TARGET") or "athena"
TIMEZONE = os.environ.get("SYNAPSE_BUSINESS_TIMEZONE") or "America/Sao_Paulo"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# Airflow kills a task at its time-out; Synapse ends a run at its own, a little earlier, in order.
GRACE = timedelta(minutes=5)


def duration(text: str) -> timedelta:
    """`50m` as schedules.yml has it."""
    found = re.fullmatch(r"([0-9]+)([smhd])", text)
    if found is None:
        raise ValueError(f"{PROJECT / 'schedules.yml'}: {text!r} is no duration")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def dag_of(name: str, schedule: dict) -> DAG:
    """The DAG of one schedule."""
    timeout = duration(schedule["timeout"])
    catches_up_all = schedule.get("catch_up") == "all"
    with DAG(
        dag_id=f"synapse_{name}",
        description=schedule["description"],
        schedule=CronTriggerTimetable(schedule["cron"], timezone=TIMEZONE),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        # Of the times that passed Airflow runs the latest or all; Synapse refuses what is too late.
        catchup=catches_up_all,
        max_active_runs=1,
        tags=["synapse", schedule["owner"]],
        doc_md=f"{schedule['description']} Declared in schedules.yml.",
    ) as dag:
        # The run that is due, not the one that was asked for late: it reads all that landed.
        time = "{{ dag_run.run_after.isoformat() }}" if catches_up_all else "latest"
        command = shlex.join(["run", name, "--wait", str(int(timeout.total_seconds()))])
        BashOperator(
            task_id="run",
            bash_command=f"{COMMAND} {command} --occurrence '{time}' --target {TARGET}",
            append_env=True,
            execution_timeout=2 * timeout + GRACE,
            owner=schedule["owner"],
            # What it needs may not have run yet, and nothing of that kind is recorded as its end.
            retries=max(schedule.get("retries", {}).values(), default=0),
            retry_delay=timedelta(minutes=5),
        )
    return dag


for _name, _schedule in yaml.safe_load((PROJECT / "schedules.yml").read_text())[
    "schedules"
].items():
    globals()[f"synapse_{_name}"] = dag_of(_name, _schedule)
