"""After an ingest, a replay or a discard: tell producers what became of what they sent.

At least once for each channel, and never at the expense of the run: whatever goes wrong is a
sentence among its notices, and the next run tells what waits.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from synapse.declarations import Declarations, load_declarations
from synapse.errors import LeaseHeldError, SynapseError
from synapse.feedback.channel import Channel, Patience
from synapse.feedback.event import event_of
from synapse.feedback.fault import Faults
from synapse.feedback.outbox import Outbox
from synapse.feedback.settings import FeedbackSettings
from synapse.project import find_project
from synapse.runner.lease import lease
from synapse.state_store import open_store

BATCH = 500


@dataclass(frozen=True)
class Feedback:
    """Whom to tell, and what is declared (columns at fault are named as declared)."""

    settings: FeedbackSettings = field(default_factory=FeedbackSettings)
    declarations: Declarations = field(default_factory=lambda: Declarations((), ()))
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def load(cls, project_dir: Path | None = None) -> Feedback:
        """From the environment; call it before the work, so that a bad setting stops it at once.

        Raises SynapseError that names the setting at fault.
        """
        settings = FeedbackSettings.load()
        if settings.webhook is None and settings.kafka is None:
            return cls(settings)
        return cls(settings, load_declarations(project_dir or find_project()))

    def tell(self, state: str) -> list[str]:
        """Tell each channel what waits for it in the state store (SQLAlchemy URL `state`).

        Returns sentences about what could not be told. Call it after the run has committed and
        released its lease: telling has one of its own, so that a slow receiver blocks no ingest.
        """
        if self.settings.webhook is None and self.settings.kafka is None:
            return []
        try:
            with lease(state, "feedback", name="feedback"):
                engine = open_store(state)
                try:
                    outbox = Outbox(engine)
                    return [
                        notice
                        for channel in self._channels()
                        if (notice := self._tell(outbox, channel)) is not None
                    ]
                finally:
                    engine.dispose()
        except LeaseHeldError:
            return ["feedback: another run is telling producers; the next one tells what is left"]
        except (SQLAlchemyError, SynapseError) as error:
            return [f"feedback: producers were not told, the next run will: {error}"]
        except Exception as error:  # the run has committed: nothing here may make it fail
            return [f"feedback: producers were not told, the next run will: {type(error).__name__}"]

    def _channels(self) -> list[Channel]:
        settings = self.settings
        channels: list[Channel] = []
        if settings.webhook is not None:
            # Late, because hardly any command tells anybody.
            from synapse.feedback.webhook import Webhook

            channels.append(Webhook(settings.webhook, settings.token, self.patience))
        if settings.kafka is not None:
            # Late, because the client is an extra.
            from synapse.feedback.kafka import KafkaTopic

            channels.append(KafkaTopic(settings.kafka, settings.topic, self.patience))
        return channels

    def _tell(self, outbox: Outbox, channel: Channel) -> str | None:
        deadline = time.monotonic() + self.patience.total_seconds
        faults = Faults(self.declarations)
        problem: str | None = None
        try:
            for batch in outbox.batches(channel.name, BATCH):
                left = deadline - time.monotonic()
                if left <= 0:
                    problem = problem or f"{self.patience.total_seconds:.0f} s did not suffice"
                    break
                events = [event_of(entry, faults.of(entry)) for entry in batch]
                answer = channel.deliver(events, left)
                outbox.told(channel.name, answer.taken)
                problem = answer.problem or problem
                if answer.is_down:
                    break
        finally:
            channel.close()
        if problem is None:
            return None
        return (
            f"feedback: {outbox.count(channel.name):,} quarantine entries have not been told to "
            f"{channel.where}: {problem}; the next run tries again"
        )
