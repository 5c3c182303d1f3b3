"""S3 (moto's server) behind a proxy that answers as on a bad day: a real one, on a real socket."""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from moto.server import ThreadedMotoServer

FAULTS = ("slow down", "error", "drop", "stall", "cut", "short", "stored, then drop")
_ERRORS = {
    "slow down": (503, b"<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"),
    "error": (500, b"<Error><Code>InternalError</Code><Message>Try again.</Message></Error>"),
}
_STALL_SECONDS = 1.5


@dataclass
class Faults:
    """Which fault how often, for which requests (GET, PUT, LIST); decided by a seed.

    share: of requests that go wrong. only: part of a key, of whose requests alone some do.
    at_most: requests for one path in a row that go wrong (None: any number).
    done: how often each has been injected.
    """

    kinds: tuple[str, ...] = ()
    share: float = 0.0
    on: frozenset[str] = frozenset({"GET", "PUT", "LIST"})
    only: str = ""
    seed: int = 0
    at_most: int | None = None
    done: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self._in_a_row: Counter[tuple[str, str]] = Counter()

    def next(self, operation: str, path: str) -> str | None:
        """The fault of this request, if it has one."""
        with self._lock:
            if operation not in self.on or self.only not in path or not self.kinds:
                return None
            row = self._in_a_row[operation, path]
            if self._random.random() >= self.share or row == self.at_most:
                self._in_a_row[operation, path] = 0
                return None
            self._in_a_row[operation, path] = row + 1
            fault = self._random.choice(self.kinds)
            # The answer to a write is empty: where it breaks off, none comes.
            if fault == "cut" and operation == "PUT":
                fault = "stored, then drop"
            # A listing has no length that could be known beforehand; only a write is stored.
            if (fault == "short" and operation != "GET") or (
                fault == "stored, then drop" and operation != "PUT"
            ):
                fault = "drop"
            self.done[operation, fault] += 1
            return fault


class FaultyS3:
    """The two servers; `faults` may be exchanged between requests."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._stop = threading.Event()

    @property
    def direct(self) -> str:
        """S3's own address."""
        host, port = self._moto.get_host_and_port()
        return f"http://{host}:{port}"

    @property
    def endpoint(self) -> str:
        """The proxy's address."""
        return f"http://127.0.0.1:{self._proxy.server_address[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator[FaultyS3]:
        """Serve."""
        self._moto.start()
        self._proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._proxy.daemon_threads = True
        thread = threading.Thread(target=self._proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._proxy.shutdown()
            self._proxy.server_close()
            thread.join()
            self._moto.stop()

    def stall(self) -> None:
        """Say nothing for longer than anybody waits."""
        self._stop.wait(_STALL_SECONDS)


def _handler(s3: FaultyS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            is_listing = self.command == "GET" and "list-type=" in self.path
            fault = s3.faults.next("LIST" if is_listing else self.command, self.path)
            if fault in _ERRORS:
                status, text = _ERRORS[fault]
                self._answer(status, {"content-type": "application/xml"}, text, len(text))
                return
            if fault == "stall":
                s3.stall()
            if fault in ("drop", "stall"):
                self.close_connection = True
                return
            status, headers, data = _ask(s3.direct, self.command, self.path, self.headers, body)
            if fault == "stored, then drop":
                self.close_connection = True
                return
            told = int(headers.get("content-length", len(data)))
            if fault in ("cut", "short") and data:
                data = data[: len(data) // 2]
                self.close_connection = True
                told = len(data) if fault == "short" else told
            self._answer(status, headers, data, told)

        def _answer(self, status: int, headers: dict[str, str], data: bytes, told: int) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("content-length", str(told))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _forward  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:  # quiet
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle()

    return Handler


def _ask(
    server: str, method: str, path: str, headers: Message, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)
    try:
        sent = {name: value for name, value in headers.items() if name.lower() != "connection"}
        connection.request(method, path, body or None, sent)
        answer = connection.getresponse()
        return (
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            answer.read(),
        )
    finally:
        connection.close()
