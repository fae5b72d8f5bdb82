"""A bucket in moto's real server, and a proxy before it that breaks what clients may meet.

with bucket_server() as server, FaultyProxy(server) as proxy:
    proxy.plan = lambda request: Fault.NO_ANSWER if request.writes("chunks") else None
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from moto.backends import get_backend
from moto.server import ThreadedMotoServer

from videofleet_archive.bucket import BucketArchive

BUCKET = "results"
KEY = SECRET = "testtest"


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class PythonBucket(Address):
    """moto's server with an empty bucket."""

    def put_at_once(self, prefix: str, keys: Iterable[str]) -> None:
        """Empty objects, put past the protocol: a thousand requests take long."""
        (account,) = get_backend("s3").values()
        for key in keys:
            account["aws"].put_object(BUCKET, f"{prefix}/{key}", b"")


@contextmanager
def bucket_server() -> Iterator[PythonBucket]:
    """moto's server with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        connection = http.client.HTTPConnection(host, port)
        connection.request("PUT", f"/{BUCKET}")
        assert connection.getresponse().status == 200
        connection.close()
        yield PythonBucket(host, port)
    finally:
        server.stop()


def credentials(folder: Path, key: str = KEY, secret: str = SECRET) -> Path:
    """A folder with credentials, as a mounted Secret is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accessKeyId").write_text(key + "\n")
    (folder / "secretAccessKey").write_text(secret)
    return folder


def archive_at(address: Address, folder: Path, prefix: str = "site/a") -> BucketArchive:
    """The archive behind an address."""
    return BucketArchive(BUCKET, prefix, endpoint=address.url, region="us-east-1", credentials=credentials(folder))


class Fault(Enum):
    """What becomes of a request."""

    REFUSED = auto()
    """The connection is cut before the store sees it."""
    NO_ANSWER = auto()
    """The store carries it out; the answer is lost."""
    ERROR_500 = auto()
    SLOW_DOWN_503 = auto()
    EXPIRED_403 = auto()
    CONFLICT_409 = auto()
    """These are answered without asking the store."""
    ERROR_500_AFTER = auto()
    """The store carries it out; 500 is answered."""
    UNCONDITIONAL = auto()
    """The condition is taken away: a store that does not know it."""


_ANSWERS = {
    Fault.ERROR_500: (500, "InternalError"),
    Fault.ERROR_500_AFTER: (500, "InternalError"),
    Fault.SLOW_DOWN_503: (503, "SlowDown"),
    Fault.EXPIRED_403: (403, "ExpiredToken"),
    Fault.CONFLICT_409: (409, "ConditionalRequestConflict"),
}


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    path: str

    def writes(self, part: str) -> bool:
        """Whether it stores an object with this in its key."""
        return self.method == "PUT" and part in self.path


Plan = Callable[[Request], Fault | None]


class FaultyProxy:
    """Passes requests on to a store, but for those that `plan` has a fault for."""

    def __init__(self, store: Address) -> None:
        self.plan: Plan = lambda request: None
        self.requests: list[Request] = []
        self._store = store
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address("127.0.0.1", self._server.server_address[1])

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Request(self.command, self.path)
                proxy.requests.append(request)
                proxy._answer(self, proxy.plan(request), body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

            def log_message(self, *given: object) -> None:
                """Says nothing."""

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, fault: Fault | None, body: bytes) -> None:
        if fault in (Fault.ERROR_500, Fault.SLOW_DOWN_503, Fault.EXPIRED_403, Fault.CONFLICT_409):
            return self._fail(handler, fault)
        if fault is Fault.REFUSED:
            return self._cut(handler)
        answer, content = self._ask(handler, body, conditional=fault is not Fault.UNCONDITIONAL)
        if fault is Fault.NO_ANSWER:
            return self._cut(handler)
        if fault is Fault.ERROR_500_AFTER:
            return self._fail(handler, fault)
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                handler.send_header(name, value)
        length = answer.getheader("Content-Length") if handler.command == "HEAD" else str(len(content))
        handler.send_header("Content-Length", length or "0")
        handler.end_headers()
        handler.wfile.write(content)
        return None

    def _ask(
        self, handler: BaseHTTPRequestHandler, body: bytes, *, conditional: bool
    ) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {
            name: value for name, value in handler.headers.items() if conditional or name.lower() != "if-none-match"
        }
        connection = http.client.HTTPConnection(self._store.host, self._store.port)
        try:
            connection.request(handler.command, handler.path, body, headers)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def _fail(self, handler: BaseHTTPRequestHandler, fault: Fault) -> None:
        status, code = _ANSWERS[fault]
        content = f"<Error><Code>{code}</Code><Message>by the proxy</Message></Error>".encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _cut(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no error here."""
