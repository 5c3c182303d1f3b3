"""The pointer: one small file of the lake that names the set which readers see.

It is derived from the newest row of the state store, which was written under the lease's fence. It
moves forward only, by a compare-and-set of its own, so that whoever finds it behind may move it: a
publisher that slept between its row and its pointer finds it moved, and leaves it.
"""

from __future__ import annotations

from pydantic import ValidationError

from synapse.errors import SynapseError
from synapse.lake import Lake
from synapse.publish.model import POINTER, PublishedSet


def read_pointer(lake: Lake) -> PublishedSet | None:
    """The set that the pointer names; None where there is none yet."""
    found = lake.peek(POINTER)
    return _parsed(lake, found[0]) if found else None


def move_pointer(lake: Lake, to: PublishedSet) -> None:
    """Let the pointer name this set, unless it names it, or a newer one, already."""
    while True:
        found = lake.peek(POINTER)
        if found is not None and _parsed(lake, found[0]).number >= to.number:
            return
        if lake.swap(POINTER, to.document(), found[1] if found else None):
            return


def _parsed(lake: Lake, document: bytes) -> PublishedSet:
    try:
        return PublishedSet.read(document)
    except ValidationError as error:
        raise SynapseError(
            f"{lake.location}/{POINTER} is no pointer to a published set "
            f"({error.errors()[0]['msg']}): delete it, and the next `synapse run` writes it again"
        ) from error
