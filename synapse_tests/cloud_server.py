"""AWS on this machine: moto's services, in which our Lambda and our container really run.

`python -m synapse_tests.cloud_server --port P`. What the state machines call is answered by the
real handler in this process and by the real command line in processes of its own; the container is
told the embedded engine instead of Athena. The rest is moto.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import botocore.session
from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.stepfunctions import models
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_ecs,
)
from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from werkzeug.serving import make_server

from athena_local.moto_server import dispatcher
from synapse_tests.cloud_types import register

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_INVOKE = re.compile(r"/2015-03-31/functions/(.+)/invocations")
_ECS = "AmazonEC2ContainerServiceV20141113."


def _mend_run_task() -> None:
    """AWS spells ECS's parameters Cluster, its API cluster; moto's interpreter leaves that out."""

    def shape(service: Any, action: str | None, side: str) -> Any:
        model = botocore.session.get_session().get_service_model("ecs")
        words = (action or service.resource.api_action).split("_")
        name = "".join(word[0].upper() + word[1:] for word in words)
        return getattr(model.operation_model(name), f"{side}_shape")

    def parameters(
        self: Any, parameters: Any, _service: Any = None, service_action_name: str | None = None
    ) -> None:
        self._to_boto_request(parameters, shape(self, service_action_name, "input"))

    def response(
        self: Any, response: Any, _service: Any = None, service_action_name: str | None = None
    ) -> None:
        self._from_boto_response(response, shape(self, service_action_name, "output"))

    setattr(state_task_service_ecs.StateTaskServiceEcs, "_normalise_parameters", parameters)  # noqa: B010
    setattr(state_task_service_ecs.StateTaskServiceEcs, "_normalise_response", response)  # noqa: B010


class Cloud:
    """A WSGI application: Lambda and ECS for real, everything else as moto has it."""

    def __init__(self, moto: WSGIApplication) -> None:
        self._moto = moto
        self._tasks: dict[str, subprocess.Popen[bytes]] = {}

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if _INVOKE.fullmatch(environ.get("PATH_INFO", "")):
            return self._invoke(environ, start)
        if target == f"{_ECS}RunTask":
            return self._run_task(environ, start)
        if target == f"{_ECS}DescribeTasks":
            return self._describe_tasks(environ, start)
        return self._moto(environ, start)

    def _invoke(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        from synapse.deploy.lambda_handler import handle

        found = _INVOKE.fullmatch(environ["PATH_INFO"])
        assert found is not None
        if "synapse-dev-ingest" not in unquote(found[1]):
            return _answer(start, "404 Not Found", {"Message": "no such function"})
        event = json.loads(_body(environ) or b"{}")
        try:
            return _answer(start, "200 OK", handle(event, None))
        except Exception as error:
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return _answer(start, "200 OK", told, ("X-Amz-Function-Error", "Unhandled"))

    def _run_task(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        asked = json.loads(_body(environ))
        status, answer = self._ask_moto(environ)
        if not status.startswith("200"):
            return _answer(start, status, answer)
        (container,) = asked["overrides"]["containerOverrides"]
        words = ["duckdb" if word == "athena" else word for word in container["command"]]
        process = subprocess.Popen([sys.executable, "-m", "synapse", *words])
        self._tasks[answer["tasks"][0]["taskArn"]] = process
        return _answer(start, status, answer)

    def _describe_tasks(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        status, answer = self._ask_moto(environ)
        for task in answer.get("tasks", ()):
            code = self._tasks[task["taskArn"]].poll()
            task["lastStatus"] = "RUNNING" if code is None else "STOPPED"
            if code is not None:
                task["containers"] = [{"name": "runner", "exitCode": code}]
        return _answer(start, status, answer)

    def _ask_moto(self, environ: WSGIEnvironment) -> tuple[str, dict[str, Any]]:
        told: list[str] = []

        def note(status: str, _headers: Any, _error: Any = None) -> Any:
            told.append(status)

        body = b"".join(self._moto(environ, note))
        return told[0], json.loads(body)


def _body(environ: WSGIEnvironment) -> bytes:
    """The request's body, which can be read again afterwards."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return bytes(body)


def _answer(
    start: StartResponse, status: str, value: Any, *headers: tuple[str, str]
) -> Iterable[bytes]:
    body = json.dumps(value).encode()
    kind = ("Content-Type", "application/x-amz-json-1.1")
    start(status, [kind, ("Content-Length", str(len(body))), *headers])
    return [body]


def main() -> None:
    """Serve on a port of this machine until stopped."""
    parser = argparse.ArgumentParser(prog="python -m synapse_tests.cloud_server")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    # Step Functions calls the other services there.
    os.environ["MOTO_PORT"] = str(arguments.port)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    register()
    _mend_run_task()
    # What a stack makes is what runs.
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    setattr(models, "stepfunctions_backends", stepfunctions_parser_backends)  # noqa: B010
    make_server(
        "127.0.0.1",
        arguments.port,
        Cloud(dispatcher()),
        threaded=True,
        request_handler=MotoRequestHandler,
    ).serve_forever()


if __name__ == "__main__":
    main()
