"""Conversations kept in the database: rows of conversations and messages, and what changes them."""

import numpy as np
import pyarrow as pa

from synapse.generate import catalogue, texts
from synapse.generate.calendar import DAY_US, HOUR_US, SECOND_US, Calendar
from synapse.generate.chat import ASSISTANT, Lines, Talks
from synapse.generate.frames import Bools, Codes, Ints, decimals, integers, pool, take, timestamps
from synapse.generate.hazards import RELOAD_DAYS, RELOAD_HOUR, Rates
from synapse.generate.people import People
from synapse.generate.streams import Stream, Streams
from synapse.generate.tables import ChangeBuffer

_CHANNELS = pool(catalogue.PLATFORMS)
_LANGUAGES = pool(catalogue.LANGUAGES)
_STATUSES = pool(catalogue.CONVERSATION_STATUSES)
_ROLES = pool(catalogue.ROLES)
_MODELS = pool([model.name for model in catalogue.MODELS])

FIRST_CONVERSATION_ID = 50_001
FIRST_MESSAGE_ID = 700_001
RENUMBERED = 9_000_000_000
"""Added to the id of a message whose primary key is changed."""
_IDLE_US = 15 * 60 * SECOND_US  # a conversation is closed after this silence
_RESCORED, _REDACTED, _DELETED = 0.012, 0.002, 0.003


class Conversing:
    """Turns talks into changes of the tables conversations and messages."""

    def __init__(
        self,
        calendar: Calendar,
        people: People,
        conversations: ChangeBuffer,
        messages: ChangeBuffer,
        streams: Streams,
        rates: Rates,
    ) -> None:
        self._calendar = calendar
        self._people = people
        self._conversations = conversations
        self._messages = messages
        self._streams = streams
        self._rates = rates
        self._next_conversation = FIRST_CONVERSATION_ID
        self._next_message = FIRST_MESSAGE_ID

    def day(self, day: int, talks: Talks, lines: Lines, stored: Bools) -> None:
        """Record the talks that `stored` selects."""
        rng = self._streams.at(Stream.MESSAGE_CHANGES, day)
        rows = np.flatnonzero(stored)
        rows = rows[np.argsort(talks.start_us[rows], kind="stable")]
        ids = np.full(len(talks), -1, dtype=np.int64)
        ids[rows] = self._next_conversation + np.arange(len(rows), dtype=np.int64)
        self._next_conversation += len(rows)
        kept = np.flatnonzero(stored[lines.talk])
        kept = kept[np.argsort(lines.sent_us[kept], kind="stable")]
        self._record_conversations(talks, lines, rows, ids, rng)
        self._record_messages(day, talks, lines, kept, ids, rng)

    def _record_conversations(
        self, talks: Talks, lines: Lines, rows: Ints, ids: Ints, rng: np.random.Generator
    ) -> None:
        """A conversation opens with its first message and is closed when it has gone silent."""
        last = np.zeros(len(talks), dtype=np.int64)
        np.maximum.at(last, lines.talk, lines.sent_us)
        person = talks.person[rows]
        # This table keeps milliseconds (see landing): so does the truth.
        start, end = talks.start_us[rows] // 1_000 * 1_000, last[rows] // 1_000 * 1_000
        closed = end + _IDLE_US + rng.integers(0, 60_000, len(rows)) * 1_000

        def image(status: int, updated: Ints) -> dict[str, pa.Array]:
            count = len(rows)
            return {
                "conversation_id": integers(ids[rows]),
                "user_id": integers(self._people.user_id(person)),
                "channel": take(_CHANNELS, talks.platform[rows]),
                "language": take(_LANGUAGES, self._people.language[person]),
                "status": take(_STATUSES, np.full(count, status, dtype=np.int64)),
                "started_at": timestamps(start),
                "ended_at": timestamps(end, np.full(count, status == 0)),
                "created_at": timestamps(start),
                "updated_at": timestamps(updated),
            }

        self._conversations.add("I", start + rng.integers(500, 3_000, len(rows)), image(0, start))
        self._conversations.add(
            "U", closed + rng.integers(1_000, 30_000, len(rows)), image(1, closed)
        )

    def _record_messages(
        self,
        day: int,
        talks: Talks,
        lines: Lines,
        kept: Ints,
        ids: Ints,
        rng: np.random.Generator,
    ) -> None:
        message_id = self._next_message + np.arange(len(kept), dtype=np.int64)
        self._next_message += len(kept)
        sent = lines.sent_us[kept]
        text, mood, has_mood = lines.text[kept], lines.sentiment[kept], lines.has_sentiment[kept]

        def image(
            which: Ints, text: Codes, mood: Ints, has_mood: Bools, updated: Ints
        ) -> dict[str, pa.Array]:
            line = kept[which]
            talk = lines.talk[line]
            return {
                "message_id": integers(message_id[which]),
                "conversation_id": integers(ids[talk]),
                "user_id": integers(self._people.user_id(talks.person[talk])),
                "role": take(_ROLES, lines.role[line]),
                "content": take(texts.MESSAGE_TEXTS, text[which]),
                "model": take(_MODELS, talks.model[talk]),
                "token_count": integers(lines.tokens[line]),
                "sentiment": decimals(mood[which], ~has_mood[which]),
                "sent_at": timestamps(sent[which]),
                "created_at": timestamps(sent[which]),
                "updated_at": timestamps(updated),
            }

        everything = np.arange(len(kept), dtype=np.int64)
        committed = sent + rng.integers(3_000, 60_000, len(kept)) + self._held_up(day, len(kept))
        self._messages.add("I", committed, image(everything, text, mood, has_mood, sent))

        # One later change at most: the moderation model scores again, a text is taken out, or the
        # row is deleted. The opening question of a talk is never deleted, so that deletions leave
        # who was active on which day untouched.
        draw = rng.random(len(kept))
        safe = (lines.role[kept] == ASSISTANT) | (
            (lines.exchange[kept] > 0) & (sent < self._calendar.start_us(day) + DAY_US)
        )
        rescored = np.flatnonzero((draw < _RESCORED) & has_mood)
        redacted = np.flatnonzero((draw >= _RESCORED) & (draw < _RESCORED + _REDACTED))
        deleted = np.flatnonzero((draw > 1 - _DELETED) & safe)
        later = committed + rng.integers(60, 7_200, len(kept)) * SECOND_US
        new_mood = np.round(mood * 0.8).astype(np.int64)
        new_text = np.full(len(kept), texts.REDACTED_CODE, dtype=np.int64)
        for which, words, feeling in ((rescored, text, new_mood), (redacted, new_text, mood)):
            changed = later[which] - 2_000
            self._messages.add("U", later[which], image(which, words, feeling, has_mood, changed))
        self._messages.add("D", later[deleted], {"message_id": integers(message_id[deleted])})
        if not self._rates.reloads:
            return
        # Rows in the middle of the draw are touched by nothing above.
        moved = np.flatnonzero((draw > 0.5) & (draw < 0.5 + self._rates.moved_key))
        renumbered = image(moved, text, mood, has_mood, later[moved] - 2_000)
        renumbered["message_id"] = integers(message_id[moved] + RENUMBERED)
        self._messages.add("U", later[moved], renumbered, before_key=message_id[moved])
        if day in RELOAD_DAYS:
            # Deleted while nobody captures: only their absence from the reload will tell.
            outage = self._calendar.start_us(day) + RELOAD_HOUR * HOUR_US - HOUR_US
            early = (draw > 0.6) & (draw < 0.9) & (lines.role[kept] == ASSISTANT)
            unseen = np.flatnonzero(early & (committed < outage - HOUR_US))[:4]
            at = outage + np.arange(len(unseen), dtype=np.int64) * SECOND_US
            self._messages.add("D", at, {"message_id": integers(message_id[unseen])})

    def _held_up(self, day: int, count: int) -> Ints:
        """Delays of commits: a client without network sends its messages long after the answer."""
        if not self._rates.out_of_order:
            return np.zeros(count, dtype=np.int64)
        rng = self._streams.at(Stream.MISHAPS, day)
        held = rng.random(count) < self._rates.out_of_order
        return np.where(held, rng.integers(60, 2_400, count) * SECOND_US, 0)
