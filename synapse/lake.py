"""Where a lake lies: a folder, or a prefix on S3 with a folder of its own on this machine.

Ingest works on files below `root` in either case. On S3 it fetches what it reads to that place and
publishes what it wrote, so that one set of code reads, checks and writes for both. Local files are
read with the system's own calls: for 70,000 small ones that takes a fifth of an object store's API.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from synapse.dated_folders import is_before
from synapse.ingest.model import BronzeFile

# S3 Standard in sa-east-1; what a sweep costs is said in these.
DOLLARS_PER_LIST = 0.007 / 1_000
# Folders that ingest writes; bronze is never touched.
WRITTEN = ("manifest", "consolidated", "quarantine", "retained")


class Lake(Protocol):
    """Reads and writes of one lake; paths are relative to it, '/' separated.

    root: the local folder, which is the lake itself or what is at hand of it.
    location: how people and engines name the lake: a folder or s3://bucket/prefix.
    requests: how many LIST requests were paid for.
    passed_over: files that cannot be named in a ledger, as people may read their names.
    """

    root: Path
    location: str
    requests: int
    passed_over: set[str]

    def entries(self, folder: str) -> tuple[list[BronzeFile], list[str]]:
        """Files of a folder and names of its subfolders, each sorted.

        Names that begin with '.' or '_' are the writers' own and are skipped. A folder that does
        not exist holds nothing.
        """
        ...

    def listing(self, folder: str, since: date | None = None) -> Iterator[BronzeFile]:
        """Files below a folder, those of a folder before those of its subfolders.

        since: folders dated before it are not looked into.
        """
        ...

    def has_files(self, folder: str) -> bool:
        """Whether listing a folder tells of any file; looks no further than the first one."""
        ...

    def read(self, files: Sequence[BronzeFile]) -> Iterator[bytes]:
        """The bytes of small files, in order."""
        ...

    def fetch(self, files: Sequence[BronzeFile]) -> None:
        """Make files be at hand below `root`. Raises SynapseError when one was overwritten."""
        ...

    def release(self, files: Iterable[BronzeFile]) -> None:
        """What was fetched is no longer needed."""
        ...

    def publish(self, path: str) -> None:
        """Make a file that was written below `root` a file of the lake; all of it or nothing."""
        ...

    def tidy(self) -> None:
        """Before and after an ingest: leave no half-written file of one that was cut short.

        Nothing that was fetched or published need stay at hand either.
        """
        ...

    def sync(self, folder: str) -> Path:
        """Have every file directly in a folder of write-once files at hand; returns where."""
        ...

    def peek(self, path: str) -> tuple[bytes, str] | None:
        """A small file that is replaced as a whole, and which version it is; None where none is."""
        ...

    def swap(self, path: str, data: bytes, seen: str | None) -> bool:
        """Put a small file in the place of the version seen (None: of none), if it still is there.

        False, and nothing done, where another has come between.
        """
        ...

    def remove(self, paths: Sequence[str]) -> None:
        """Delete files, also what of them is at hand; those that are gone already are no error."""
        ...


class LocalLake:
    """A lake that is a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)
        self.requests = 0
        self.passed_over: set[str] = set()

    def entries(self, folder: str) -> tuple[list[BronzeFile], list[str]]:
        """See Lake. Passed over: links that lead nowhere, pipes, sockets and devices."""
        files, below = [], []
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            _opened(f"{self.root}/{folder}") as place,
            # By descriptor: the system then looks up an entry's name, not its whole path.
            os.scandir(place) as found,
        ):
            for entry in found:
                name = entry.name
                if name[0] in "._":
                    continue
                about = _stat(entry)
                if about is None:
                    continue
                if not (name.isascii() or _is_text(name)):
                    self.passed_over.add(f"{folder}/{_readable(name)}")
                elif stat.S_ISREG(about.st_mode):
                    version = str(about.st_mtime_ns)
                    files.append(BronzeFile(f"{folder}/{name}", about.st_size, version))
                elif stat.S_ISDIR(about.st_mode):
                    below.append(name)
        files.sort(key=attrgetter("path"))
        return files, sorted(below)

    def listing(self, folder: str, since: date | None = None) -> Iterator[BronzeFile]:
        """See Lake."""
        return chain.from_iterable(self.by_folder(folder, since))

    def by_folder(self, folder: str, since: date | None = None) -> Iterator[list[BronzeFile]]:
        """What listing tells, the files of each folder at once; some folders have none."""
        return self._walk(folder, "", since, ())

    def _walk(
        self, folder: str, digits: str, since: date | None, above: tuple[tuple[int, int], ...]
    ) -> Iterator[list[BronzeFile]]:
        """Folder by folder: file by file each level of folders would cost as much as the file."""
        try:
            about = os.stat(f"{self.root}/{folder}")  # noqa: PTH116 - once a folder
        except (FileNotFoundError, NotADirectoryError):
            return
        here = about.st_dev, about.st_ino
        if here in above:  # a link that leads back up
            return
        files, below = self.entries(folder)
        yield files
        for name in below:
            is_old, dated = is_before(digits, name, since)
            if not is_old:
                yield from self._walk(f"{folder}/{name}", dated, since, (*above, here))

    def has_files(self, folder: str) -> bool:
        """See Lake."""
        for place, below, names in os.walk(f"{self.root}/{folder}"):
            below[:] = [name for name in below if name[0] not in "._"]
            for name in names:
                if name[0] not in "._" and _is_text(name) and Path(place, name).is_file():
                    return True
        # What links lead to, which the walk does not follow.
        return next(self.listing(folder), None) is not None

    def read(self, files: Sequence[BronzeFile]) -> Iterator[bytes]:
        """See Lake."""
        for folder, several in groupby(files, _folder_of):
            some = list(several)
            path = some[0].path
            try:
                # By descriptor, as in entries(); and by the plain calls: a file object costs as
                # much again as opening and reading.
                with _opened(f"{self.root}/{folder}") as place:
                    for path, size, _ in some:
                        descriptor = os.open(path[len(folder) + 1 :], os.O_RDONLY, dir_fd=place)
                        try:
                            data = os.read(descriptor, size + 1)
                            while len(data) != size and (more := os.read(descriptor, 1 << 20)):
                                data += more  # it has been written since it was listed
                        finally:
                            os.close(descriptor)
                        yield data
            except OSError as error:
                error.filename = f"{self.root}/{path}"  # of which the system was told the end
                raise

    def fetch(self, files: Sequence[BronzeFile]) -> None:
        """They are at hand."""

    def release(self, files: Iterable[BronzeFile]) -> None:
        """They stay where they are."""

    def publish(self, path: str) -> None:
        """It is where it belongs."""

    def tidy(self) -> None:
        """See Lake. What is written begins with '.' until it is whole."""
        for folder in WRITTEN:
            for place, folders, names in os.walk(self.root / folder):
                for name in names:
                    if name.startswith(".") and name.endswith(".tmp"):
                        Path(place, name).unlink(missing_ok=True)
                for name in [name for name in folders if name.startswith(".")]:
                    shutil.rmtree(Path(place, name), ignore_errors=True)
                    folders.remove(name)

    def sync(self, folder: str) -> Path:
        """See Lake."""
        return self.root / folder

    def peek(self, path: str) -> tuple[bytes, str] | None:
        """See Lake."""
        try:
            data = (self.root / path).read_bytes()
        except FileNotFoundError:
            return None
        return data, hashlib.sha256(data).hexdigest()

    def swap(self, path: str, data: bytes, seen: str | None) -> bool:
        """See Lake. Of several that swap at once one looks, writes and renames at a time."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with _opened(str(target.parent)) as folder:
            fcntl.flock(folder, fcntl.LOCK_EX)  # the system ends it with the process
            there = self.peek(path)
            if (there and there[1]) != seen:
                return False
            temporary = target.with_name(f".{target.name}.tmp")
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
            os.fsync(folder)
        return True

    def remove(self, paths: Sequence[str]) -> None:
        """See Lake. A folder that becomes empty goes too."""
        for path in paths:
            (self.root / path).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                (self.root / path).parent.rmdir()


def _folder_of(file: BronzeFile) -> str:
    return file.path[: file.path.rfind("/")]


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    """The descriptor of a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What an entry is, None where it leads nowhere or has just vanished."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8; others can be opened, but no store or Parquet file can hold them."""
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def _readable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def open_lake(location: str, root: Path) -> Lake:
    """The lake at a folder or s3:// prefix; root is its folder on this machine."""
    if "://" not in location:
        return LocalLake(root)
    from synapse.lake_s3 import S3Lake  # its library is loaded where it is needed only

    return S3Lake(location, root)
