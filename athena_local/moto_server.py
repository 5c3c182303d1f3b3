"""moto's server for a lake: S3 that reads ranges and lists fast, other services as they are."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from athena_local.s3_reads import S3Reads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class _Dispatcher(DomainDispatcherApplication):
    """moto's own lists a folder of 180 entries to find the service of each request: 1 ms each."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._backends: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """The service behind a host name, found once."""
        if host not in self._backends:
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]


def dispatcher() -> WSGIApplication:
    """Moto's services, each found by what a request says about itself."""
    return _Dispatcher()


def main() -> None:
    """Serve on a port of this machine until stopped."""
    parser = argparse.ArgumentParser(prog="python -m athena_local.moto_server")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request says nothing
    application = S3Reads(dispatcher())
    make_server(
        "127.0.0.1",
        arguments.port,
        application,
        threaded=True,
        request_handler=MotoRequestHandler,
    ).serve_forever()


if __name__ == "__main__":
    main()
