"""Conversations kept as documents: they grow, and every growth is delivered as a whole document."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import orjson

from synapse.generate import catalogue, texts
from synapse.generate.calendar import SECOND_US
from synapse.generate.chat import Lines, Talks
from synapse.generate.frames import Bools, Ints, join, moments, pool, scramble, take
from synapse.generate.people import GONE, People

_TEXTS: list[str] = texts.MESSAGE_TEXTS.to_pylist()
_ROLES = pool(catalogue.ROLES)
_MODELS = pool([model.name for model in catalogue.MODELS])
_REOPENED = 0.08  # share of documents that go on on a later day


class DocumentLine(NamedTuple):
    """One message of a document (a tuple: there are a tenth of all messages)."""

    role: str
    content: str
    sent_us: int
    sent_at: str  # the same as text
    model: str
    tokens: int
    sentiment: int | None  # ten-thousandths


@dataclass
class Document:
    """A conversation document with all messages it has so far."""

    id: str
    person: int
    user_id: int
    created_us: int
    created_at: str  # the same as text
    platform: int
    language: str
    tags: list[str]
    model: int
    lines: list[DocumentLine] = field(default_factory=list)

    def render(self, count: int) -> bytes:
        """The record of a delivery with the first `count` messages, one line of JSON."""
        messages = [
            {
                "role": line.role,
                "content": line.content,
                "timestamp": line.sent_at,
                "metadata": {
                    "model": line.model,
                    "tokens": line.tokens,
                    "sentiment": None if line.sentiment is None else line.sentiment / 10_000,
                },
            }
            for line in self.lines[:count]
        ]
        record = {
            "_id": self.id,
            # Two writers, two habits: older ones send the id as text.
            "userId": str(self.user_id) if self.user_id % 7 == 0 else self.user_id,
            "createdAt": self.created_at,
            "messages": messages,
            "metadata": {
                "channel": catalogue.PLATFORMS[self.platform],
                "language": self.language,
                "tags": self.tags,
            },
        }
        return orjson.dumps(record)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A document as it stood when it was sent, with its first `count` messages."""

    at_us: int
    document: Document
    count: int


class Documents:
    """Keeps the documents that may still grow, and the deliveries that are still to come."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._made = 0
        self._waiting: list[Delivery] = []
        self._returning: dict[int, list[Document]] = {}

    def continued(self, day: int) -> list[Document]:
        """Documents whose conversation goes on on the day."""
        due = self._returning.pop(day, [])
        return [one for one in due if self._people.status[one.person] != GONE]

    def day(
        self,
        day: int,
        talks: Talks,
        lines: Lines,
        stored: Bools,
        continued: list[Document],
        rng: np.random.Generator,
    ) -> None:
        """Write the talks that `stored` selects into documents; the last talks are `continued`."""
        which = np.flatnonzero(stored)
        opened = len(talks) - len(continued)
        # Everything that can be drawn or written for all documents at once is: one by one, it
        # would cost more than the rest of the day.
        kept = np.flatnonzero(stored[lines.talk])
        written = _lines(talks, lines, kept)
        starts = np.searchsorted(lines.talk[kept], which).tolist()
        ends = np.searchsorted(lines.talk[kept], which, side="right").tolist()
        returns = np.where(rng.random(len(which)) < _REOPENED, rng.integers(1, 5, len(which)), 0)
        lags = (rng.integers(1_000, 20_000, (len(which), 3)) * 1_000).tolist()
        fresh = self._open(talks, which[which < opened], rng)
        documents = fresh + continued
        for document, start, end, due, lag in zip(
            documents, starts, ends, returns.tolist(), lags, strict=True
        ):
            before = len(document.lines)
            document.lines.extend(written[start:end])
            self._deliver(document, before, lag)
            if due:
                self._returning.setdefault(day + due, []).append(document)

    def drain(self, until_us: int) -> list[Delivery]:
        """Deliveries before `until_us`, in order."""
        ready = [delivery for delivery in self._waiting if delivery.at_us < until_us]
        self._waiting = [delivery for delivery in self._waiting if delivery.at_us >= until_us]
        return sorted(ready, key=lambda delivery: (delivery.at_us, delivery.document.id))

    def _open(self, talks: Talks, which: Ints, rng: np.random.Generator) -> list[Document]:
        count = len(which)
        person, created = talks.person[which], talks.start_us[which] // 1_000 * 1_000
        serial = self._made + np.arange(count, dtype=np.int64)
        self._made += count
        order = rng.permuted(np.tile(np.arange(len(catalogue.TAGS)), (count, 1)), axis=1).tolist()
        return [
            Document(
                id=f"{start // SECOND_US:08x}{suffix:016x}",
                person=row,
                user_id=user_id,
                created_us=start,
                created_at=stamp,
                platform=platform,
                language=catalogue.LANGUAGES[language],
                tags=[catalogue.TAGS[tag] for tag in tags[:used]],
                model=model,
            )
            for row, user_id, start, stamp, suffix, platform, language, tags, used, model in zip(
                person.tolist(),
                self._people.user_id(person).tolist(),
                created.tolist(),
                join(moments(created, "T", 3), "Z").to_pylist(),
                scramble(serial, 13).tolist(),
                talks.platform[which].tolist(),
                self._people.language[person].tolist(),
                order,
                rng.integers(0, 3, count).tolist(),
                talks.model[which].tolist(),
                strict=True,
            )
        ]

    def _deliver(self, document: Document, before: int, lags: list[int]) -> None:
        """After the first answer, half-way, and when it is complete; each later than the last."""
        total = len(document.lines)
        counts = sorted({min(before + 2, total), (before + total + 1) // 2, total} - {before})
        earlier = 0
        for count, lag in zip(counts, lags, strict=False):
            earlier = max(document.lines[count - 1].sent_us + lag, earlier + 1_000)
            self._waiting.append(Delivery(earlier, document, count))


def _lines(talks: Talks, lines: Lines, kept: Ints) -> list[DocumentLine]:
    """The messages that `kept` selects."""
    sent = lines.sent_us[kept] // 1_000 * 1_000
    mood: list[int | None] = lines.sentiment[kept].tolist()
    for row in np.flatnonzero(~lines.has_sentiment[kept]).tolist():
        mood[row] = None
    return list(
        map(
            DocumentLine,
            take(_ROLES, lines.role[kept]).to_pylist(),
            [_TEXTS[text] for text in lines.text[kept].tolist()],
            sent.tolist(),
            join(moments(sent, "T", 3), "Z").to_pylist(),
            take(_MODELS, talks.model[lines.talk[kept]]).to_pylist(),
            lines.tokens[kept].tolist(),
            mood,
        )
    )
