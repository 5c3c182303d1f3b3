"""What goes wrong between the source and the lake."""

from typing import Literal, get_args

Hazards = Literal["none", "normal", "hostile"]
LEVELS: tuple[str, ...] = get_args(Hazards)


class DmsHazards:
    """Mishaps of DMS tasks."""

    def delay(self, day: int, table: str, window: int) -> int:
        """Days by which a change file arrives late."""
        return 0
