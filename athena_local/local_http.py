"""HTTP to this machine: never through a proxy, whatever the environment names."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        with _OPENER.open(url, timeout=5):
            return True
    except OSError:
        return False


def fetch_json(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    """The JSON that a GET, or with a body a POST, is answered with. Raises OSError."""
    with _OPENER.open(urllib.request.Request(url, body, headers or {}), timeout=30) as answer:
        return json.load(answer)


def put(url: str, body: bytes, headers: dict[str, str]) -> None:
    """PUT a body. Raises OSError when it is refused."""
    request = urllib.request.Request(url, body, headers, method="PUT")
    with _OPENER.open(request, timeout=30):
        pass
