"""Which folders of bronze are dated, and so need no listing once they are old.

DMS writes YYYY/MM/DD (or YYYYMMDD), Kafka Connect year=YYYY/month=MM/day=DD/hour=HH. A folder whose
name is no such date is always looked into, LOAD files and other orders of day and month with it.
"""

from __future__ import annotations

import re
from datetime import date

_FIRST = re.compile(r"(?:year=)?((?:19|20)[0-9]{2})")
_NEXT = re.compile(r"(?:month=|day=)?([0-9]{2})")
_WHOLE = re.compile(r"(?:date=|dt=)?((?:19|20)[0-9]{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12][0-9]|3[01])")


def is_before(digits: str, name: str, since: date | None) -> tuple[bool, str]:
    """Whether a folder holds only dates before `since`, and the date's digits so far.

    digits: those of the folders above it: '' for none, else YYYY or YYYYMM; longer once the day is
    known.
    """
    if whole := _WHOLE.fullmatch(name):
        found = "".join(whole.groups())
    elif not digits and (first := _FIRST.fullmatch(name)):
        found = first[1]
    elif len(digits) in (4, 6) and (following := _NEXT.fullmatch(name)):
        found = digits + following[1]
    else:
        return False, digits
    return since is not None and found < f"{since:%Y%m%d}"[: len(found)], found
