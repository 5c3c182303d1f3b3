"""Real receivers of alerts on this machine: HTTPS behind a proxy, SMTP, ServiceNow's table API.

Slack, Teams and PagerDuty have fixed addresses. The proxy that a company's network has anyway plays
them: it takes the TLS connection itself, with a certificate that this test's authority signed.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from athena_local.ports import reserved_ports


@dataclass(frozen=True)
class Request:
    """A request as it arrived. host: to which the client thought that it spoke."""

    host: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return orjson.loads(self.body)


@dataclass
class Web:
    """Every service of the web, as far as a test needs it.

    statuses: answers for the next requests of a host; then it answers as the service does.
    """

    proxy: str
    authority: str
    requests: list[Request] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, host: str) -> list[Request]:
        """What arrived for a host."""
        return [request for request in self.requests if request.host == host]

    def answer(self, request: Request) -> tuple[int, bytes]:
        """Keep a request and say what the service answers; status 0: never."""
        with self.lock:
            self.requests.append(request)
            statuses = self.statuses.get(request.host, [])
            status = statuses.pop(0) if len(statuses) > 1 else (statuses or [200])[0]
        if status == 0:
            self.released.wait()
        return status, b"ok" if status == 200 else b"no"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is part of the tests."""


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def read(self, host: str) -> Request:
        """The request at hand."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(host, self.command, self.path, headers, body)

    def say(self, status: int, body: bytes) -> None:
        """Answer."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def the_web(folder: Path) -> Iterator[Web]:
    """A proxy that is every host."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    web = Web("", str(folder / "authority.pem"))
    contexts: dict[str, ssl.SSLContext] = {}

    class Proxy(_Quiet):
        host = ""

        def do_CONNECT(self) -> None:
            host = self.path.partition(":")[0]
            self.send_response(200, "Connection established")
            self.end_headers()
            with web.lock:
                if host not in contexts:
                    contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    authority.issue_cert(host).configure_cert(contexts[host])
            self.connection = contexts[host].wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            self.host, self.close_connection = host, False
            while not self.close_connection:
                self.handle_one_request()

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def do_POST(self) -> None:
            self.say(*web.answer(self.read(self.host)))

    with _serving(Proxy) as port:
        web.proxy = f"http://127.0.0.1:{port}"
        try:
            yield web
        finally:
            web.released.set()


@dataclass
class Mailbox:
    """What a mail server took, and whether it wants a password."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)


@contextmanager
def mail_server(folder: Path, user: str, password: str) -> Iterator[tuple[Mailbox, str]]:
    """A server that takes mail after STARTTLS and a password; yields its authority's file too."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "mail.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    box = Mailbox(0)

    class Handler:
        async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:
            assert isinstance(envelope.content, bytes)
            box.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            box.recipients.append(list(envelope.rcpt_tos))
            return "250 taken"

    def known(_server: object, _session: object, _envelope: object, _how: object, data: Any) -> Any:
        fits = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=fits)

    # It asks itself whether it serves, at the port that it was given.
    with reserved_ports(1, None, folder / "ports") as (port,):
        box.port = port
        controller = Controller(
            Handler(),
            hostname="127.0.0.1",
            port=port,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=known,
        )
        controller.start()
        try:
            yield box, str(folder / "mail.pem")
        finally:
            controller.stop()


@dataclass
class Instance:
    """A ServiceNow instance: its incidents by sys_id, in the table API's own words."""

    url: str
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    authorizations: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)


@contextmanager
def servicenow() -> Iterator[Instance]:
    """The part of /api/now/table/incident that the table API's reference describes and we use."""
    instance = Instance("")

    class Handler(_Quiet):
        def do_GET(self) -> None:
            from urllib.parse import parse_qs, urlsplit

            (query,) = parse_qs(urlsplit(self.path).query)["sysparm_query"]
            wanted = re.fullmatch(r"correlation_id=([^^]+)\^stateNOT IN6,7,8", query)
            assert wanted is not None, query
            found = [
                {"sys_id": sys_id}
                for sys_id, each in instance.incidents.items()
                if each["correlation_id"] == wanted[1] and each.get("state") not in ("6", "7", "8")
            ]
            self.done(200, found)

        def do_POST(self) -> None:
            values = self.read("servicenow").json
            sys_id = f"{len(instance.incidents) + 1:032x}"
            instance.incidents[sys_id] = values
            self.done(201, {"sys_id": sys_id})

        def do_PATCH(self) -> None:
            values = self.read("servicenow").json
            incident = instance.incidents[self.path.rpartition("/")[2]]
            notes = incident.get("notes", [])
            incident.update(values, notes=[*notes, values.pop("work_notes", None)])
            self.done(200, {})

        def done(self, status: int, result: Any) -> None:
            instance.authorizations.add(self.headers["Authorization"])
            status = instance.statuses.pop(0) if instance.statuses else status
            self.say(status, orjson.dumps({"result": result}))

    with _serving(Handler) as port:
        instance.url = f"http://127.0.0.1:{port}"
        yield instance
