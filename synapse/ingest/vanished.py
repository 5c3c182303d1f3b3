"""Accepted files that have left bronze: told, never taken back.

DMS deletes a table's files when the source is truncated, unless HandleSourceTableTruncated says
otherwise, and so does whoever tidies up. What was accepted stays accepted: loads were copied to
retained/, but changes are read where they lie and a rebuild will miss them.
"""

from __future__ import annotations

from collections.abc import Collection

from synapse.ingest.ledger import Ledger
from synapse.ingest.model import Kind


def vanished_notices(ledger: Ledger, present: Collection[str]) -> list[str]:
    """A sentence for each DMS table whose accepted files are no longer in bronze.

    present: paths of all files of bronze. A LOAD file that is gone while others of its table came
    makes no sentence: DMS empties the folder before it loads anew.
    """
    notices = []
    for source, files in sorted(ledger.accepted_dms_files().items()):
        missing = sorted((path, kind) for path, kind in files if path not in present)
        gone = [path for path, _ in missing]
        changes = [path for path, kind in missing if kind is Kind.CHANGE]
        if len(gone) == len(files):
            notices.append(
                f"{source}: all of its {len(files)} accepted file(s) have left bronze, first "
                f"{gone[0]}. If the source table was truncated (DMS deletes its files unless "
                "HandleSourceTableTruncated is false), reload it: a reload closes the keys "
                "that it does not name, and silver keeps them until then"
            )
        elif changes:
            notices.append(
                f"{source}: {len(changes)} accepted change file(s) have left bronze, first "
                f"{changes[0]}. Silver keeps what it read, but a rebuild cannot read them again: "
                "put them back"
            )
    return notices
