"""A real HTTP server that plays the producer's end of a webhook, and a quarantine to tell about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import create_engine, insert

from synapse.declarations import Declarations, load_declarations
from synapse.feedback.channel import Patience
from synapse.feedback.service import Feedback
from synapse.feedback.settings import FeedbackSettings
from synapse.ingest import tables as t
from synapse_tests.ingest_lake import DECLARATIONS, EVENTS

# An answer that does come is waited for, however busy the machine is.
PATIENT = Patience(answer_seconds=60, attempts=3, wait_seconds=0.01, total_seconds=120)
# Only for tests of an answer that never comes: nothing that is told so may be expected to arrive.
HASTY = Patience(answer_seconds=0.5, attempts=3, wait_seconds=0.01, total_seconds=20)


@dataclass(frozen=True)
class Received:
    """A request as it arrived; header names are in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the batch."""
        events: list[dict[str, Any]] = orjson.loads(self.body)
        return events


@dataclass
class Receiver:
    """What arrived, and how to answer.

    answers: for the next requests, then 204. An answer is a status or a function that is given the
    handler and answers (or does not) by itself.
    """

    url: str
    requests: list[Received] = field(default_factory=list)
    answers: list[int | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        """Ids of all events, in order of arrival."""
        return [event["id"] for request in self.requests for event in request.events]

    @property
    def states(self) -> list[str]:
        """States of all events, in order of arrival."""
        return [event["data"]["state"] for request in self.requests for event in request.events]

    def never(self, _: BaseHTTPRequestHandler) -> None:
        """Answer nothing until the test is over."""
        self.released.wait()

    def trickle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a byte of an endless header at a time: no single read ever times out."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.released.wait(0.05):
            handler.wfile.write(b"z")


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append(Received(headers, body))
            answer = receiver.answers.pop(0) if receiver.answers else 204
            if callable(answer):
                self.close_connection = True
                try:
                    answer(self)
                except OSError:  # the other end hung up, as it should
                    return
                return
            self.send_response(answer)
            if 300 <= answer < 400:
                self.send_header("Location", receiver.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that gave up is part of the tests."""

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join()


def declarations_of(folder: Path) -> Declarations:
    """The declarations of the ingest tests, read from a project below a folder."""
    models = folder / "project" / "models" / "bronze"
    models.mkdir(parents=True, exist_ok=True)
    (models / "_sources.yml").write_text(DECLARATIONS)
    return load_declarations(folder / "project")


def feedback_to(folder: Path, patience: Patience = PATIENT, **settings: Any) -> Feedback:
    """Feedback with these settings, whatever the environment."""
    return Feedback(FeedbackSettings(**settings), declarations_of(folder), patience)


def quarantine(folder: Path, count: int) -> str:
    """A state store with that many open entries; returns its URL."""
    state = f"sqlite:///{folder / 'state.db'}"
    engine = create_engine(state)
    t.METADATA.create_all(engine)
    moment = datetime(2026, 3, 1)
    rows = [
        {
            "id": f"{number:016x}",
            "source": "kconnect.app-events" if number % 2 else "kconnect.conversations",
            "kind": "topic",
            "unit": "record",
            "path": f"{EVENTS}/app-events+0+0000000000.json",
            "sha256": "0" * 64,
            "number": number + 1,
            "byte_start": number * 10,
            "byte_end": number * 10 + 9,
            "rule": "column_type",
            "sentence": "user_id is 'maria@example.com', which is no whole number",
            "kafka_partition": 0,
            "kafka_offset": number,
            "run_id": "r",
            "first_seen": moment,
            "last_attempt": moment,
            "attempts": 1,
            "state": "open",
        }
        for number in range(count)
    ]
    with engine.begin() as connection:
        connection.execute(insert(t.QUARANTINE), rows)
    engine.dispose()
    return state
