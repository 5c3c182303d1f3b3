"""A setting that cannot work is named before anything is done, and no secret is repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from synapse.errors import SynapseError
from synapse.feedback.service import Feedback
from synapse.feedback.settings import FeedbackSettings
from synapse_tests.ingest_lake import EVENTS, event, lines, new_lake

URL = "https://example.com/hook"


def set_all(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name in ("WEBHOOK", "TOKEN", "KAFKA", "TOPIC"):
        monkeypatch.delenv(f"SYNAPSE_FEEDBACK_{name}", raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(f"SYNAPSE_FEEDBACK_{name}", value)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"WEBHOOK": "example.com/hook"}, "WEBHOOK"),
        ({"WEBHOOK": "ftp://example.com"}, "WEBHOOK"),
        ({"WEBHOOK": "https://"}, "WEBHOOK"),
        ({"WEBHOOK": "https://example.com:99999/"}, "WEBHOOK"),
        ({"WEBHOOK": "https://exa mple.com/"}, "WEBHOOK"),
        ({"WEBHOOK": "https://user:hidden@example.com/"}, "WEBHOOK"),  # pragma: allowlist secret
        ({"TOKEN": "hidden"}, "TOKEN"),
        ({"WEBHOOK": URL, "TOKEN": "hidden\r\nX-Evil: 1"}, "TOKEN"),
        ({"WEBHOOK": URL, "TOKEN": "whsec_hidden"}, "TOKEN"),
        ({"WEBHOOK": URL, "TOKEN": "whsec_aGlkZGVu"}, "TOKEN"),
        ({"KAFKA": "localhost"}, "KAFKA"),
        ({"KAFKA": "localhost:0"}, "KAFKA"),
        ({"KAFKA": "localhost:9092,"}, "KAFKA"),
        ({"TOPIC": "a"}, "TOPIC"),
        ({"KAFKA": "localhost:9092", "TOPIC": "a b"}, "TOPIC"),
        ({"KAFKA": "localhost:9092", "TOPIC": ".."}, "TOPIC"),
    ],
)
def test_bad_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: str
) -> None:
    set_all(monkeypatch, settings)
    with pytest.raises(SynapseError, match=f"^SYNAPSE_FEEDBACK_{named} ") as caught:
        FeedbackSettings.load()
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"WEBHOOK": ""},
        {"WEBHOOK": "http://[::1]:8080/a?b=c"},
        {"WEBHOOK": URL, "TOKEN": "whsec_" + "YWJjZGVmZ2g" * 4},
        {"KAFKA": "broker-1.example.com:9092, [::1]:9092", "TOPIC": "a.b_c-d"},
    ],
)
def test_good_settings_pass(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    set_all(monkeypatch, settings)
    assert FeedbackSettings.load().topic == settings.get("TOPIC", "synapse-quarantine")


def test_a_bad_setting_stops_an_ingest_before_it_accepts_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_all(monkeypatch, {"WEBHOOK": "nowhere"})
    lake = new_lake(tmp_path)
    lake.land(f"{EVENTS}/app-events+0+0000000000.json", lines([event(1)]))
    with pytest.raises(SynapseError, match="SYNAPSE_FEEDBACK_WEBHOOK"):
        lake.ingest()
    assert lake.manifest() == []


def test_without_kafkas_client_the_extra_is_named() -> None:
    # An interpreter in which the package cannot be found, as where the extra is not installed.
    code = (
        "import os, sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'confluent_kafka':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "os.environ['SYNAPSE_FEEDBACK_KAFKA'] = 'localhost:9092'\n"
        "from synapse.feedback.settings import FeedbackSettings\n"
        "from synapse.ingest import service\n"
        "FeedbackSettings.load()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "synapse-lakehouse[kafka]" in done.stderr


def test_nothing_configured_needs_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, {})
    assert Feedback.load(Path("/nowhere")).settings == FeedbackSettings()
