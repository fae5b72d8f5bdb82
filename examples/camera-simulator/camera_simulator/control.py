"""The HTTP control: which camera is broken how, changed while the simulator runs."""

from __future__ import annotations

import concurrent.futures
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TypeVar

from .answering import Answering
from .faults import BadRequestError, parse_fault_request
from .gst import GLib
from .server import CameraServer

MAIN_LOOP_SECONDS = 10.0
MAX_BODY = 64 * 1024
T = TypeVar("T")
log = logging.getLogger(__name__)


def in_main_loop(call: Callable[[], T]) -> T:
    """Runs `call` in the thread of GLib's main loop and returns what it returned; TimeoutError if that hangs."""
    result: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> bool:
        try:
            result.set_result(call())
        except Exception as error:  # noqa: BLE001 - carried over to the thread that waits, which raises it
            result.set_exception(error)
        return bool(GLib.SOURCE_REMOVE)

    GLib.idle_add(run, priority=GLib.PRIORITY_DEFAULT)
    return result.result(timeout=MAIN_LOOP_SECONDS)


class ControlServer(Answering):
    """`GET /faults`, `POST /faults` and `GET /healthz` for a camera server."""

    def __init__(self, host: str, port: int, cameras: CameraServer) -> None:
        super().__init__("control", (host, port), type("Handler", (_Handler,), {"cameras": cameras}))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    cameras: CameraServer

    def do_GET(self) -> None:
        """The state of every camera, or a sign of life that has passed through the main loop."""
        match self.path:
            case "/faults":
                self._send(HTTPStatus.OK, {"cameras": in_main_loop(self.cameras.state)})
            case "/healthz":
                self._send(HTTPStatus.OK, {"cameras": len(in_main_loop(self.cameras.state))})
            case _:
                self._not_found()

    def do_POST(self) -> None:
        """Sets a fault and answers with the state after it."""
        body = self._body()
        if body is None:
            return
        if self.path != "/faults":
            self._not_found()
            return
        try:
            request = parse_fault_request(body, self.cameras.paths)
        except BadRequestError as error:
            self._send(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return

        def apply() -> list[dict[str, object]]:
            for path in request.paths:
                self.cameras.set_fault(path, request.fault)
            return self.cameras.state()

        state = in_main_loop(apply)
        log.info("fault %s on %s", request.fault.value, ", ".join(request.paths))
        self._send(HTTPStatus.OK, {"cameras": state})

    def _body(self) -> bytes | None:
        """The request's body; None after an answer that says what is wrong with its length."""
        length = self.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) <= MAX_BODY:
            return self.rfile.read(int(length))
        self.close_connection = True
        message = f"Content-Length: {length or 'missing'}; give the body's length, at most {MAX_BODY}"
        self._send(HTTPStatus.BAD_REQUEST, {"error": message})
        return None

    def _not_found(self) -> None:
        self._send(HTTPStatus.NOT_FOUND, {"error": f"{self.path}: nothing here; there are /faults and /healthz"})

    def _send(self, status: HTTPStatus, document: dict[str, object]) -> None:
        body = json.dumps(document, indent=2).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing about requests; a changed fault is logged where it is applied."""
