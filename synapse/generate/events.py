"""App events as columns: a buffer that collects a day's events and hands them over in order."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from synapse.generate import catalogue
from synapse.generate.frames import Codes, Ints, fixed_width, hex_matrix, scramble
from synapse.generate.people import FIRST_USER_ID

EVENT_NAMES = (
    "app_opened", "signup_completed", "login", "screen_viewed", "feature_used",
    "checkout_started", "settings_changed", "message_sent_click", "push_received", "api_request",
    "experiment_exposed", "debug_ping",
)  # fmt: skip
"""The tracking plan's events and, at the end, two that nobody documented."""
UNDOCUMENTED = EVENT_NAMES[-2:]
ACTIVE_SIGNALS = frozenset(EVENT_NAMES[:7])
"""Events with is_active_signal in seeds/tracking_plan.csv (a test holds the two together)."""

NOBODY = -1
_COLUMNS = pa.schema(
    [
        ("name", pa.int64()),
        ("at_us", pa.int64()),
        ("person", pa.int64()),
        ("anonymous", pa.int64()),
        ("platform", pa.int64()),
        ("version", pa.int64()),
        ("region", pa.int64()),
        ("properties", pa.string()),
    ]
)


def code(name: str) -> int:
    """Code of an event name."""
    return EVENT_NAMES.index(name)


def anonymous_text(anonymous: Ints) -> pa.Array:
    """anonymous_id of a device; NULL for NOBODY."""
    matrix = hex_matrix(scramble(anonymous, 77))
    prefix = np.broadcast_to(np.frombuffer(b"anon-", dtype=np.uint8), (len(matrix), 5))
    texts = fixed_width(np.concatenate([prefix, matrix], axis=1))
    return texts.take(pa.array(np.arange(len(matrix)), mask=anonymous < 0))


def user_id_of(person: Ints) -> Ints:
    """user_id of an account's row (meaningless for NOBODY)."""
    return person + FIRST_USER_ID


@dataclass
class EventBuffer:
    """Events that are simulated but not yet handed over (those after midnight wait)."""

    _parts: list[pa.Table] = field(default_factory=list)

    def add(
        self,
        name: str,
        at_us: Ints,
        *,
        person: Ints,
        anonymous: Ints,
        platform: Codes,
        version: Codes,
        region: Codes,
        properties: pa.Array | str = "{}",
    ) -> None:
        """Add events of one name; `properties` is canonical JSON (compact, keys sorted)."""
        count = len(at_us)
        if count == 0:
            return
        texts = pa.repeat(properties, count) if isinstance(properties, str) else properties
        arrays = [
            pa.array(np.full(count, code(name), dtype=np.int64)),
            pa.array(at_us // 1_000 * 1_000),
            pa.array(person),
            pa.array(anonymous),
            pa.array(platform),
            pa.array(version.clip(0, len(catalogue.VERSIONS) - 1)),
            pa.array(region),
            texts,
        ]
        self._parts.append(pa.Table.from_arrays(arrays, schema=_COLUMNS))

    def drain(self, until_us: int) -> pa.Table:
        """Hand over, in order of time, what happened before `until_us`."""
        everything = pa.concat_tables(self._parts) if self._parts else _COLUMNS.empty_table()
        # Arrow takes rows from one chunk much faster than from many.
        everything = everything.combine_chunks()
        at = everything["at_us"].to_numpy()
        order = np.argsort(at, kind="stable")
        split = int(np.searchsorted(at[order], until_us, side="left"))
        self._parts = [everything.take(order[split:])] if split < len(order) else []
        return everything.take(order[:split]).combine_chunks()
