"""What Athena charges for a query, in whole megabytes and whole billionths of a dollar.

https://aws.amazon.com/athena/pricing/ (per-query billing): bytes scanned, rounded up to the next
megabyte, at least 10 MB; nothing for DDL, for statements that manage partitions and for failed
queries; cancelled ones for what they had scanned. A megabyte is 10^6 bytes, as in Athena's own
limit "10 MB" of BytesScannedCutoffPerQuery (10000000), and a terabyte 10^12: were they binary, the
same bytes would cost 9 % less.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from decimal import Decimal

from synapse.errors import SynapseError

MEGABYTE = 1_000_000
_NANOS_A_DOLLAR = 1_000_000_000
_MEGABYTES_A_TERABYTE = 1_000_000
# It reads like a query and is charged like one, though the API calls it DDL.
_CTAS = "CREATE_TABLE_AS_SELECT"


@dataclass(frozen=True)
class Prices:
    """millidollars_per_tb: thousandths of a dollar for 10^12 bytes. minimum_mb: a query's least."""

    millidollars_per_tb: int = 5_000
    minimum_mb: int = 10

    @classmethod
    def load(cls) -> Prices:
        """The prices of the environment, else AWS's list price of most regions ($5 per TB).

        Raises SynapseError for a price that is none.
        """
        text = os.environ.get("SYNAPSE_ATHENA_USD_PER_TB") or "5"
        least = os.environ.get("SYNAPSE_ATHENA_MINIMUM_MB") or "10"
        if not re.fullmatch(r"[0-9]{1,6}([.][0-9]{1,3})?", text):
            raise SynapseError(
                f"SYNAPSE_ATHENA_USD_PER_TB is {text!r}: give dollars with at most three decimals, "
                "for example 5 or 9.00"
            )
        if not re.fullmatch(r"[0-9]{1,6}", least):
            raise SynapseError(
                f"SYNAPSE_ATHENA_MINIMUM_MB is {least!r}: give whole megabytes, for example 10"
            )
        return cls(int(Decimal(text) * 1000), int(least))

    def charged_mb(self, scanned_bytes: int) -> int:
        """Megabytes charged for a query that is charged at all."""
        return max(self.minimum_mb, -(-scanned_bytes // MEGABYTE))

    def nanodollars(self, charged_mb: int) -> int:
        """Billionths of a dollar for so many megabytes: exact, never rounded."""
        each = _NANOS_A_DOLLAR // 1000 // _MEGABYTES_A_TERABYTE  # of a millidollar per terabyte
        return charged_mb * self.millidollars_per_tb * each


def charged_mb(
    prices: Prices, *, statement: str, substatement: str, state: str, scanned_bytes: int
) -> int:
    """Megabytes charged for one query.

    statement, substatement, state: as Athena's API says them (DDL, DML, UTILITY; INSERT; FAILED).
    What still runs counts with what it has scanned. Where the price list is silent, this is the
    dearer reading: a query that succeeds without scanning costs the minimum.
    """
    is_free = statement in ("DDL", "UTILITY") and substatement != _CTAS
    if is_free or state == "FAILED":
        return 0
    if scanned_bytes == 0 and (state != "SUCCEEDED" or substatement.startswith("EXPLAIN")):
        return 0
    return prices.charged_mb(scanned_bytes)


def dollars(nanodollars: int) -> Decimal:
    """The same as dollars, exactly."""
    return Decimal(nanodollars).scaleb(-9)
