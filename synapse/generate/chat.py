"""Conversations and their messages, as timelines; where they are stored is decided elsewhere."""

from dataclasses import dataclass

import numpy as np

from synapse.generate import catalogue, texts
from synapse.generate.activity import Sessions
from synapse.generate.calendar import SECOND_US
from synapse.generate.frames import Bools, Codes, Floats, Ints
from synapse.generate.people import choose

USER, ASSISTANT, SYSTEM = range(3)
_MEDIAN_SECONDS = np.array([model.median_seconds for model in catalogue.MODELS])
_MODEL_WEIGHTS = tuple(model.weight for model in catalogue.MODELS)
_TALKS = (0.98, 0.72, 0.72, 0.72)  # chance by platform that a session has a conversation


@dataclass(frozen=True)
class Talks:
    """Conversations (or continuations of one) that start on a day."""

    person: Ints
    start_us: Ints
    platform: Codes
    model: Codes
    exchanges: Ints
    opens: Bools  # False: goes on with an earlier conversation, so no system message

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Lines:
    """Messages of a day's Talks, by talk and then by time."""

    talk: Ints  # row in Talks
    exchange: Ints  # number of the question in its talk, from 0
    role: Codes
    sent_us: Ints
    text: Codes
    tokens: Ints
    sentiment: Ints  # ten-thousandths
    has_sentiment: Bools

    def __len__(self) -> int:
        return len(self.talk)


def talks_of(sessions: Sessions, rng: np.random.Generator) -> Talks:
    """The conversations that a day's sessions lead to."""
    count = len(sessions)
    chance = np.array(_TALKS)[sessions.platform]
    rows = np.flatnonzero(rng.random(count) < chance)
    start = sessions.start_us[rows] + rng.integers(4, 75, len(rows)) * SECOND_US
    return Talks(
        person=sessions.person[rows],
        start_us=start + rng.integers(0, 1_000, len(rows)) * 1_000,
        platform=sessions.platform[rows],
        model=choose(rng, _MODEL_WEIGHTS, len(rows)),
        exchanges=rng.geometric(0.44, len(rows)).clip(1, 25),
        opens=np.ones(len(rows), dtype=np.bool_),
    )


def lines_of(talks: Talks, rng: np.random.Generator) -> Lines:
    """Write out the messages: question, answer after the model's latency, next question.

    One question in thirty stays unanswered; every eighth conversation opens with a system message.
    """
    talk = np.repeat(np.arange(len(talks), dtype=np.int64), talks.exchanges)
    count = len(talk)
    first = np.cumsum(talks.exchanges) - talks.exchanges
    exchange = np.arange(count, dtype=np.int64) - first[talk]
    latency = _latency(_MEDIAN_SECONDS[talks.model[talk]], rng, count)
    thinking = np.exp(rng.normal(np.log(38), 0.9, count)).clip(2, 2_400)
    spent = ((latency + thinking) * 1_000).astype(np.int64) * 1_000
    elapsed = np.cumsum(spent) - spent  # before this question, over all talks
    asked = talks.start_us[talk] + elapsed - elapsed[first][talk]
    answered = asked + (latency * 1_000).astype(np.int64) * 1_000
    has_answer = rng.random(count) >= 1 / 30
    system = np.flatnonzero(talks.opens & (rng.random(len(talks)) < 0.125))

    parts = (
        (talk, exchange, USER, asked),
        (talk[has_answer], exchange[has_answer], ASSISTANT, answered[has_answer]),
        (system, np.zeros(len(system), dtype=np.int64), SYSTEM, talks.start_us[system] - 5_000),
    )
    all_talk = np.concatenate([part[0] for part in parts])
    role = np.concatenate([np.full(len(part[0]), part[2], dtype=np.int64) for part in parts])
    sent = np.concatenate([part[3] for part in parts])
    order = np.lexsort((sent, all_talk))
    role = role[order]
    total = len(order)
    spans = np.array(texts.TEXT_SPANS, dtype=np.int64)
    text = spans[role, 0] + (rng.random(total) * spans[role, 1]).astype(np.int64)
    size = np.array([26.0, 190.0, 38.0])[role]
    mood = np.round(rng.normal(0.12, 0.38, total).clip(-1, 1) * 10_000).astype(np.int64)
    return Lines(
        talk=all_talk[order],
        exchange=np.concatenate([part[1] for part in parts])[order],
        role=role,
        sent_us=sent[order],
        text=text,
        tokens=(size * np.exp(rng.normal(0, 0.55, total))).clip(3, 4_000).astype(np.int64),
        sentiment=mood,
        has_sentiment=(role == USER) & (rng.random(total) < 0.93),
    )


def _latency(median: Floats, rng: np.random.Generator, count: int) -> Floats:
    """Seconds to an answer: log-normal around the model's median, one in eighty is stuck."""
    seconds = median * np.exp(rng.normal(0, 0.45, count))
    stuck = rng.random(count) < 1 / 80
    return np.asarray(np.where(stuck, seconds * 6, seconds).clip(0.3, 90))
