"""Files of the lake: their hashes, and writing them so that no reader ever sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from synapse.errors import SynapseError
from synapse.lake import Lake
from synapse.whole_files import aside


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in bounded memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(lake: Lake, table: pa.Table, path: str, unique: Iterable[str] = ()) -> None:
    """Write Parquet under a temporary name and rename it: no reader ever sees half a file.

    unique: columns whose values hardly repeat; a dictionary of them would cost time for nothing.
    """
    target = lake.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = aside(target)
    repeating = [name for name in table.column_names if name not in set(unique)]
    pq.write_table(table, temporary, compression="zstd", use_dictionary=repeating)
    temporary.replace(target)
    lake.publish(path)


def retain(lake: Lake, path: str, sha256: str, target: str) -> None:
    """Copy a file of bronze, which is at hand, by content.

    A copy that is there already is the same bytes. Raises SynapseError when the file was
    overwritten meanwhile.
    """
    copy = lake.root / target
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        temporary = aside(copy)
        shutil.copyfile(lake.root / path, temporary)
        if sha256_of(temporary) != sha256:
            temporary.unlink()
            raise SynapseError(
                f"{lake.location}/{path} was overwritten while it was being read; nothing was "
                "accepted. Run `synapse ingest` again."
            )
        temporary.replace(copy)
    lake.publish(target)


def close_quietly(writer: pq.ParquetWriter) -> None:
    """Close a writer whose file is given up: the disk may be full, and it would say so again."""
    with contextlib.suppress(OSError, pa.ArrowException):
        writer.close()
    writer.is_open = False
