"""A lake on S3, through obstore: many requests at once, retries, conditional reads."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    NotFoundError,
    PreconditionError,
)
from obstore.store import S3Store
from tenacity import (
    AsyncRetrying,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from synapse.dated_folders import is_before
from synapse.errors import SynapseError
from synapse.ingest.model import BronzeFile
from synapse.whole_files import aside

if TYPE_CHECKING:
    from obstore import UpdateVersion
    from obstore.store import S3Config

_Result = TypeVar("_Result")
_TRIES = 5
_REQUESTS_AT_ONCE = 32
_KEYS_PER_LIST = 1_000  # what S3 answers to one LIST
_BYTES_PER_PIECE = 8 * 1024 * 1024
_IN_ONE_REQUEST = 64 * 1024 * 1024


class _CutShortError(Exception):
    """An answer that was not all of the file."""


class S3Lake:
    """A lake at s3://bucket/prefix; root holds what is fetched and what is written.

    Credentials, region and endpoint come from the environment as every AWS tool reads it
    (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, instance and container roles).
    """

    def __init__(self, location: str, root: Path) -> None:
        self.root = root
        # The state store may lie here too, on a machine that has never seen the lake.
        root.mkdir(parents=True, exist_ok=True)
        self.location = location.rstrip("/")
        self.requests = 0
        self.passed_over: set[str] = set()  # keys are always text
        bucket, _, prefix = self.location.removeprefix("s3://").partition("/")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        seconds = int(os.environ.get("SYNAPSE_S3_TIMEOUT_SECONDS") or "30")
        config: S3Config = {}
        if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
            config["region"] = region
        if endpoint:
            config["endpoint"] = endpoint
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={
                # Of silence: a large file may take as long as it keeps coming.
                "connect_timeout": timedelta(seconds=seconds),
                "read_timeout": timedelta(seconds=seconds),
                "timeout": timedelta(seconds=60 * seconds),
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
            },
            # SlowDown and time-outs are S3's way of saying "later": wait, with jitter.
            retry_config={"max_retries": 8, "retry_timeout": timedelta(seconds=4 * seconds)},
        )
        # The store tries requests again, not answers that break off: those are tried again here,
        # but nothing that has already been tried for that long.
        self._again: dict[str, Any] = {
            "retry": retry_if_exception_type((GenericError, _CutShortError)),
            "wait": wait_random_exponential(multiplier=0.1, max=5),
            "stop": stop_after_attempt(_TRIES) | stop_after_delay(4 * seconds),
            "reraise": True,
        }

    def __reduce__(self) -> tuple[type[S3Lake], tuple[str, Path]]:
        """Readers in other processes connect anew."""
        return S3Lake, (self.location, self.root)

    def entries(self, folder: str) -> tuple[list[BronzeFile], list[str]]:
        """See Lake."""
        try:
            found = Retrying(**self._again)(obstore.list_with_delimiter, self._store, f"{folder}/")
        except BaseError as error:
            raise self._failed(f"list {self.location}/{folder}", error) from error
        files = sorted(map(_bronze_file, found["objects"]), key=lambda file: file.path)
        below = sorted(prefix.rsplit("/", 1)[-1] for prefix in found["common_prefixes"])
        self.requests += 1 + (len(files) + len(below)) // _KEYS_PER_LIST
        return (
            [file for file in files if not file.name.startswith((".", "_"))],
            [name for name in below if not name.startswith((".", "_"))],
        )

    def listing(self, folder: str, since: date | None = None) -> Iterator[BronzeFile]:
        """See Lake. One LIST request for each folder down to the day, then one for 1,000 keys."""
        try:
            yield from self._walk(folder, "", since)
        except BaseError as error:
            raise self._failed(f"list {self.location}/{folder}", error) from error

    def has_files(self, folder: str) -> bool:
        """See Lake."""
        return next(self.listing(folder), None) is not None

    def _walk(self, folder: str, digits: str, since: date | None) -> Iterator[BronzeFile]:
        if len(digits) == 8 or (digits and since is None):
            # Below a day, or where nothing is left out: every key in one stream.
            yield from self._flat(folder)
            return
        files, below = self.entries(folder)
        yield from files
        for name in below:
            is_old, dated = is_before(digits, name, since)
            if not is_old:
                yield from self._walk(f"{folder}/{name}", dated, since)

    def _flat(self, folder: str) -> Iterator[BronzeFile]:
        last: str | None = None

        def go_on() -> Iterator[Any]:
            return iter(
                obstore.list(self._store, f"{folder}/", offset=last, chunk_size=_KEYS_PER_LIST)
            )

        pages = go_on()

        def one_more() -> Any:
            nonlocal pages
            try:
                return next(pages, None)
            except BaseError:
                pages = go_on()
                raise

        while page := Retrying(**self._again)(one_more):
            self.requests += 1
            for each in page:
                last = each["path"]
                parts = each["path"][len(folder) + 1 :].split("/")
                if not any(part.startswith((".", "_")) for part in parts):
                    yield _bronze_file(each)

    def read(self, files: Sequence[BronzeFile]) -> Iterator[bytes]:
        """See Lake."""
        yield from self._run(self._gather([self._bytes_of(file) for file in files]))

    async def _bytes_of(self, file: BronzeFile) -> bytes:
        return await AsyncRetrying(**self._again)(self._bytes_once, file)

    async def _bytes_once(self, file: BronzeFile) -> bytes:
        answer = await obstore.get_async(
            self._store, file.path, options={"if_match": file.etag} if file.etag else None
        )
        data = (await answer.bytes_async()).to_bytes()
        _require_whole(file, len(data))
        return data

    def fetch(self, files: Sequence[BronzeFile]) -> None:
        """See Lake."""
        missing = [file for file in files if not (self.root / file.path).exists()]
        self._run(self._gather([self._fetch(file) for file in missing]))

    async def _fetch(self, file: BronzeFile) -> None:
        await AsyncRetrying(**self._again)(self._fetch_once, file)

    async def _fetch_once(self, file: BronzeFile) -> None:
        target = self.root / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = aside(target)
        answer = await obstore.get_async(
            self._store, file.path, options={"if_match": file.etag} if file.etag else None
        )
        with temporary.open("wb") as stream:
            async for piece in answer.stream(min_chunk_size=_BYTES_PER_PIECE):
                stream.write(piece)
        _require_whole(file, temporary.stat().st_size)
        temporary.replace(target)

    def release(self, files: Iterable[BronzeFile]) -> None:
        """See Lake."""
        for file in files:
            (self.root / file.path).unlink(missing_ok=True)

    def publish(self, path: str) -> None:
        """See Lake. A PUT is atomic, and so is the end of a multipart upload."""
        try:
            Retrying(**self._again)(
                obstore.put,
                self._store,
                path,
                self.root / path,
                use_multipart=(self.root / path).stat().st_size > _IN_ONE_REQUEST,
            )
        except BaseError as error:
            raise self._failed(f"write {self.location}/{path}", error) from error

    def tidy(self) -> None:
        """See Lake."""
        for folder in ("bronze", "retained", "consolidated", "quarantine/files"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def sync(self, folder: str) -> Path:
        """See Lake. What is at hand already is not fetched again: these files never change."""
        local = self.root / folder
        local.mkdir(parents=True, exist_ok=True)
        found, _ = self.entries(folder)
        self.fetch(found)
        names = {file.name for file in found}
        for path in local.iterdir():
            # Left by a run that was killed before it published them.
            if path.is_file() and path.name not in names:
                path.unlink()
        return local

    def peek(self, path: str) -> tuple[bytes, str] | None:
        """See Lake."""
        try:
            answer = Retrying(**self._again)(obstore.get, self._store, path)
            return answer.bytes().to_bytes(), answer.meta["e_tag"] or ""
        except (NotFoundError, FileNotFoundError):
            return None
        except BaseError as error:
            raise self._failed(f"read {self.location}/{path}", error) from error

    def swap(self, path: str, data: bytes, seen: str | None) -> bool:
        """See Lake: a PUT with If-Match, or If-None-Match, which S3 itself decides."""
        there: UpdateVersion = {"e_tag": seen}
        mode: Literal["create"] | UpdateVersion = "create" if seen is None else there
        try:
            obstore.put(self._store, path, data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError, NotFoundError):
            return False
        except BaseError as error:
            raise self._failed(f"write {self.location}/{path}", error) from error
        return True

    def remove(self, paths: Sequence[str]) -> None:
        """See Lake."""
        for path in paths:
            (self.root / path).unlink(missing_ok=True)
        try:
            for begin in range(0, len(paths), _KEYS_PER_LIST):
                some = list(paths[begin : begin + _KEYS_PER_LIST])
                Retrying(**self._again)(obstore.delete, self._store, some)
        except (NotFoundError, FileNotFoundError):
            return
        except BaseError as error:
            raise self._failed(f"delete below {self.location}", error) from error

    async def _gather(self, tasks: Sequence[Coroutine[Any, Any, _Result]]) -> list[_Result]:
        room = asyncio.Semaphore(_REQUESTS_AT_ONCE)

        async def one(task: Coroutine[Any, Any, _Result]) -> _Result:
            async with room:
                return await task

        return await asyncio.gather(*(one(task) for task in tasks))

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        try:
            return asyncio.run(work)
        except PreconditionError as error:
            raise SynapseError(
                f"A file of {self.location} was overwritten while it was being read; nothing was "
                f"accepted. Run `synapse ingest` again. ({_first_line(error)})"
            ) from error
        except NotFoundError as error:
            raise SynapseError(
                f"A file of {self.location} vanished while it was being read; nothing was "
                f"accepted. Run `synapse ingest` again. ({_first_line(error)})"
            ) from error
        except (BaseError, _CutShortError) as error:
            raise self._failed(f"read {self.location}", error) from error

    def _failed(self, what: str, error: Exception) -> SynapseError:
        return SynapseError(
            f"S3 could not {what}: {_first_line(error)}. Check the bucket, AWS_REGION, the "
            "credentials and AWS_ENDPOINT_URL; when S3 was only busy, run the command again: "
            "nothing is lost and nothing is taken twice."
        )


def _require_whole(file: BronzeFile, size: int) -> None:
    """Raise for an answer that is shorter or longer than what was listed."""
    if size != file.size:
        raise _CutShortError(f"{file.path} came with {size:,} of its {file.size:,} bytes")


def _bronze_file(found: Any) -> BronzeFile:
    return BronzeFile(found["path"], found["size"], found["e_tag"] or "")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
