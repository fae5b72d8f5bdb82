"""A web server that serves a few files, well or badly."""

import base64
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """One file and how it is served.

    status: refuse with this one. login: user:password to ask for. cut_after: close the connection after so many bytes
    of the body. hang_after: send no more after so many bytes, and keep the connection. give_up_after: close each
    connection after so many bytes that it sent.
    """

    body: bytes = b""
    status: int = 200
    login: str | None = None
    cut_after: int | None = None
    hang_after: int | None = None
    give_up_after: int | None = None


@dataclass
class WebServer:
    """The running server; pages may be added while it runs."""

    port: int
    scheme: str = "http"
    pages: dict[str, Page] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        """The address of a page."""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """A server on a free port of the loopback address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    web = WebServer(server.server_address[1], "https" if tls else "http")
    if tls is not None:
        # The handshake in the connection's own thread, where it may fail.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.web = web  # type: ignore[attr-defined]  # the handler finds it there
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        # Players hang up whenever they seek.
        with suppress(ConnectionResetError, BrokenPipeError, ssl.SSLError):
            super().handle()

    def do_GET(self) -> None:
        web: WebServer = self.server.web  # type: ignore[attr-defined]  # set in serving()
        page = web.pages.get(self.path)
        if page is None:
            self._refuse(404)
        elif page.login is not None and self.headers.get("Authorization") != _basic(page.login):
            self._refuse(401)
        elif page.status != 200:
            self._refuse(page.status)
        else:
            self._send(page, web.stopping)

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, page: Page, stopping: threading.Event) -> None:
        size = len(page.body)
        start = int(match[1]) if (match := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(size - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        given_up = None if page.give_up_after is None else start + page.give_up_after
        end = min(limit for limit in (size, page.cut_after, page.hang_after, given_up) if limit is not None)
        self.wfile.write(page.body[start:end])
        if page.hang_after is not None:
            stopping.wait()
        if end < size:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()
