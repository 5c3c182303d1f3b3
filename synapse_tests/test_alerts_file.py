"""alerts.yml: the one that Synapse brings is whole, and what cannot work is told with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from synapse.alerts.load import load_alerts
from synapse.alerts.model import AlertFile
from synapse.declarations import load_declarations
from synapse.errors import SynapseError
from synapse.schedules.load import load_schedules
from synapse_tests.lakes import PROJECT_DIR

OURS = (PROJECT_DIR / "alerts.yml").read_text()
RUNBOOK = (PROJECT_DIR / "docs" / "runbook.md").read_text()
CHANNELS = """channels:
  chat: {kind: slack, url: "${HOOK}"}
  on_call: {kind: pagerduty, key: "${PAGER_KEY}", severities: [critical]}
  mail:
    kind: email
    host: smtp.example.com
    sender: synapse@example.com
    recipients: [data@example.com]
    severities: [warning]
  desk:
    kind: servicenow
    instance: https://example.service-now.com
    user: synapse
    password: "${NOW_PASSWORD}"
  topic: {kind: sns, topic_arn: "arn:aws:sns:sa-east-1:123456789012:alerts"}
"""
GOOD = OURS.replace("channels: {}\n", CHANNELS)


def project(folder: Path, text: str) -> Path:
    for name in ("schedules.yml", "selectors.yml"):
        (folder / name).write_bytes((PROJECT_DIR / name).read_bytes())
    (folder / "alerts.yml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "blamed", "says"),
    [
        ('url: "${HOOK}"', 'url: "https://hooks.slack.com/x"', "  chat:", "is a secret: put it"),
        ('"${NOW_PASSWORD}"', "spoken", "password: spoken", "is a secret: put it"),
        ("{kind: slack, url: \"${H", "{kind: slak, url: \"${H", "  chat:", "slak"),
        ('url: "${HOOK}"', 'hook: "${HOOK}"', "  chat:", "there are severities, kind, url"),
        ("host: smtp", "hosst: smtp", "hosst", "did you mean `host`"),
        ("https://example.service", "http://example.service", "instance: http:", "begins with"),
        ("arn:aws:sns", "arn:aws:sqs", "  topic:", "pattern"),
        ("severities: [warning]", "severities: [warn]", "severities: [warn]", "critical"),
        ("over: 30m", "over: 30 minutes", "over: 30 min", "for example 50m"),
        ("over: 0.01", "over: 1", "over: 1\n", "less than 1"),
        ("    hold: 1h\n", "    holds: 1h\n", "    holds", "did you mean `hold`"),
        ("    kind: budget\n", "    kind: cost\n", "  over_budget:", "budget"),
        ("schedules: [hourly]", "schedules: [hourli]", "[hourli]", "did you mean `hourly`"),
        (
            "    repeat: 4h\n", "    repeat: 4h\n    channels: [chat, pager]\n", "[chat, pager]",
            "names channel `pager`, which alerts.yml does not have",
        ),
        ("  failed_run:\n", "  late_data:\n", "  late_data:\n    kind: failed", "a second time"),
        ("    owner: analytics\n", "", "  failed_checks:\n", "owner` is missing"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, blamed: str, says: str
) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    folder = project(tmp_path, text)
    with pytest.raises(SynapseError) as error:
        load_alerts(folder, load_schedules(folder))
    said = str(error.value)
    assert re.search(says, said), said
    line = text[: text.index(blamed)].count("\n") + 1
    assert re.search(rf"alerts.yml line {line}\b", said), said
    assert "spoken" not in said
    assert "hooks.slack" not in said


def test_a_project_without_the_file_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SynapseError, match=r"alerts.yml is missing.*Copy"):
        load_alerts(tmp_path, load_schedules(PROJECT_DIR))


def test_a_rule_goes_to_the_channels_that_it_names_else_to_those_of_its_severity(
    tmp_path: Path,
) -> None:
    named = GOOD.replace("    repeat: 2h\n", "    repeat: 2h\n    channels: [topic]\n", 1)
    alerts = load_alerts(project(tmp_path, named), load_schedules(PROJECT_DIR))
    assert alerts.terms("late_data").channels == ("topic",)
    assert alerts.terms("failed_run").channels == ("chat", "on_call", "desk", "topic")
    assert alerts.terms("over_budget").channels == ("chat", "mail", "desk", "topic")


def test_the_file_that_synapse_brings_is_whole_and_tells_nobody(tmp_path: Path) -> None:
    schedules = load_schedules(PROJECT_DIR)
    alerts = load_alerts(PROJECT_DIR, schedules)
    assert alerts.channels == {}
    kinds = {str(rule.kind) for rule in alerts.rules.values()}
    known = re.findall(r"const': '([a-z_]+)'", str(AlertFile.model_json_schema()["$defs"]))
    channels = {"slack", "teams", "pagerduty", "email", "sns", "servicenow", "apprise"}
    assert kinds == set(known) - channels, "a rule of each kind"
    watched = {
        name
        for rule in alerts.rules.values()
        if rule.kind == "missed_schedule"
        for name in rule.schedules
    }
    assert watched == set(schedules.by_name), "no schedule may be missed unseen"
    declared = load_declarations(PROJECT_DIR)
    named = {source for rule in alerts.rules.values() for source in getattr(rule, "sources", ())}
    tables = {table.source for table in declared.tables}
    assert named <= tables | {topic.source for topic in declared.topics}
    # Its examples work as soon as somebody takes the marks away.
    commented = re.findall(r"^#(  [a-z_]+: \{.*\})$", OURS, re.MULTILINE)
    text = OURS.replace("channels: {}\n", "channels:\n" + "\n".join(commented) + "\n")
    assert list(load_alerts(project(tmp_path, text), schedules).channels) == ["chat", "on_call"]


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() -> None:
    headings = re.findall(r"^## (Alert: .+)$", RUNBOOK, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}
    alerts = load_alerts(PROJECT_DIR, load_schedules(PROJECT_DIR))
    assert anchors == {rule.runbook for rule in alerts.rules.values()}
    for part in re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]:
        if part.startswith("Alert: "):
            for what in ("**Means.**", "**See.**", "**Do.**"):
                assert what in part, f"{part.splitlines()[0]} lacks {what}"
            assert "```" in part, f"{part.splitlines()[0]} shows nothing"
