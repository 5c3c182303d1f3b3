"""What the machine refuses, as a sentence that a person can act on: no room, no permission."""

from __future__ import annotations

import errno
import os
import re

_NO_ROOM = re.compile(
    r"no space left|disk is full|file too large|disk quota exceeded|not enough space|"
    r"error writing bytes|disk i/o error",
    re.IGNORECASE,
)
_NOT_ALLOWED = re.compile(
    r"permission denied|operation not permitted|read-only file system|readonly database|"
    r"unable to open database file",
    re.IGNORECASE,
)
_NO_ROOM_CODES = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_NOT_ALLOWED_CODES = {errno.EACCES, errno.EPERM, errno.EROFS}


def explain(error: BaseException, place: str) -> str | None:
    """Say what is wrong and the way out; None for an error that is neither.

    place: what to name where the error names no file.
    """
    # SQLAlchemy's own text goes on with the statement; the driver's is one sentence.
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    code = getattr(error, "errno", None)
    # Arrow and DuckDB name a file in their text, if at all.
    where = getattr(error, "filename", None) or place
    if code in _NO_ROOM_CODES or _NO_ROOM.search(text):
        return (
            f"there is no room to write {where} ({text}): make room on that disk (or "
            "raise the quota), then run the command again"
        )
    if code in _NOT_ALLOWED_CODES or _NOT_ALLOWED.search(text):
        return (
            f"user {os.geteuid()} may not read or write {where} ({text}): give it the permission, "
            "then run the command again"
        )
    return None
