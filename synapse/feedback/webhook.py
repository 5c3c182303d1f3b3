"""Telling by webhook: CloudEvents in batched mode, authorised as Standard Webhooks has it.

A token whsec_… signs each request (https://www.standardwebhooks.com: webhook-id,
webhook-timestamp, webhook-signature); any other token is sent as a bearer token, as the CloudEvents
web hook specification has it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_result,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential_jitter,
)

from synapse.feedback.channel import Answer, Patience
from synapse.feedback.event import Event
from synapse.feedback.settings import SECRET_PREFIX, secret_bytes

CONTENT_TYPE = "application/cloudevents-batch+json; charset=UTF-8"
# Enough of an answer's body to use the connection again; nobody reads it.
_BODY_BYTES = 65_536
_WORTH_REPEATING = {408, 500, 502, 503, 504}
# The receiver minds this body, not the caller: another batch may pass.
_BODY_REFUSED = {400, 413, 422}


@dataclass(frozen=True)
class _Outcome:
    """problem: None when the receiver said 2xx."""

    problem: str | None = None
    is_worth_repeating: bool = False
    is_down: bool = True


class _Authorization(AuthBase):
    """Sets the bearer token if there is one; given always, lest requests look into ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Webhook:
    """Posts a batch of events as one request; 2xx takes it, whatever the body says."""

    name = "webhook"

    def __init__(self, url: str, token: str | None, patience: Patience) -> None:
        # The path of a URL may be a secret: people are told its host only.
        self.where = f"the webhook at {urlsplit(url).hostname}"
        self._url = url
        self._secret = token if token is not None and token.startswith(SECRET_PREFIX) else None
        self._authorization = _Authorization(None if self._secret else token)
        self._patience = patience
        self._session = requests.Session()

    def deliver(self, events: Sequence[Event], seconds: float) -> Answer:
        """Post until it is taken, refused for good, or patience ends."""
        body = b"[" + b",".join(event.body for event in events) + b"]"
        ids = "\n".join(event.id for event in events)
        request_id = hashlib.sha256(ids.encode()).hexdigest()[:32]
        patience, deadline = self._patience, time.monotonic() + seconds
        attempts = Retrying(
            retry=retry_if_result(lambda outcome: outcome.is_worth_repeating),
            wait=wait_exponential_jitter(multiplier=patience.wait_seconds, max=4, jitter=0.1),
            stop=stop_after_attempt(patience.attempts) | stop_before_delay(seconds),
            retry_error_callback=_last,
        )
        outcome: _Outcome = attempts(lambda: self._post(request_id, body, deadline))
        if outcome.problem is None:
            return Answer(events)
        return Answer((), outcome.problem, outcome.is_down)

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _post(self, request_id: str, body: bytes, deadline: float) -> _Outcome:
        """One request in a thread: a socket's time-out starts anew with each byte that comes."""
        seconds = min(self._patience.answer_seconds, max(deadline - time.monotonic(), 0.1))
        headers = self._headers(request_id, body)
        answer: Future[_Outcome] = Future()
        session = self._session

        def ask() -> None:
            try:
                answer.set_result(self._ask(session, headers, body, seconds))
            except BaseException as error:  # handed over to the thread that waits
                answer.set_exception(error)

        # A daemon: what never answers must not keep the process alive.
        threading.Thread(target=ask, name="feedback-webhook", daemon=True).start()
        try:
            return answer.result(seconds + 0.1)
        except TimeoutError:
            # That thread still holds a connection of the old session.
            self._session = requests.Session()
            return _Outcome(f"it gave no answer within {seconds:.0f} s", is_worth_repeating=True)

    def _ask(
        self, session: requests.Session, headers: dict[str, str], body: bytes, seconds: float
    ) -> _Outcome:
        try:
            response = session.post(
                self._url,
                data=body,
                headers=headers,
                auth=self._authorization,
                timeout=seconds,
                allow_redirects=False,
                stream=True,
            )
        except requests.Timeout:
            return _Outcome(f"it gave no answer within {seconds:.0f} s", is_worth_repeating=True)
        except requests.exceptions.SSLError:
            return _Outcome("its TLS certificate cannot be verified")
        except requests.ConnectionError:
            return _Outcome("it cannot be reached", is_worth_repeating=True)
        except (OSError, ValueError) as error:
            # RequestException is an OSError, so is a missing REQUESTS_CA_BUNDLE; a host may be no
            # name at all. Their texts repeat the URL.
            return _Outcome(f"the request failed ({type(error).__name__})")
        with response, contextlib.suppress(urllib3.exceptions.HTTPError):
            response.raw.read(_BODY_BYTES, decode_content=False)
        return _judged(response.status_code)

    def _headers(self, request_id: str, body: bytes) -> dict[str, str]:
        moment = str(int(time.time()))
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "synapse",
            "webhook-id": request_id,
            "webhook-timestamp": moment,
        }
        if self._secret is not None:
            headers["webhook-signature"] = signature(self._secret, request_id, moment, body)
        return headers


def signature(secret: str, request_id: str, timestamp: str, body: bytes) -> str:
    """The webhook-signature of Standard Webhooks, scheme v1 (HMAC-SHA256)."""
    signed = f"{request_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _judged(status: int) -> _Outcome:
    if 200 <= status < 300:
        return _Outcome()
    if 300 <= status < 400:
        # Following would hand the token to whoever is named there.
        return _Outcome(f"it redirects (HTTP {status}), which is not followed: set its final URL")
    return _Outcome(
        f"it answered HTTP {status}", status in _WORTH_REPEATING, status not in _BODY_REFUSED
    )


def _last(state: RetryCallState) -> _Outcome:
    assert state.outcome is not None
    outcome: _Outcome = state.outcome.result()
    return outcome
