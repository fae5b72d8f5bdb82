"""A small HTTP file server: whole files in memory, byte ranges, HTTP or HTTPS."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONTENT_TYPES = {".mp4": "video/mp4", ".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of an HTTPS server."""

    certificate: Path
    key: Path


def resolve_range(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks for out of `size`.

    A header that is missing, malformed or asks for several ranges means everything, as RFC 9110 allows; None means
    that the range lies outside (416).
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return range(size)
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size) if int(last) else None
    if int(first) >= size or (last and int(last) < int(first)):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


class FileServer:
    """Serves what `find` returns for the path of a request; None from it becomes 404."""

    def __init__(self, host: str, port: int, find: Callable[[str], bytes | None], tls: TlsFiles | None = None) -> None:
        handler = type("Handler", (_Handler,), {"find": staticmethod(find)})
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            # The handshake belongs to the connection's own thread: one silent client must not hold up the others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, name="files", daemon=True)

    def start(self) -> int:
        """Begins to answer; returns the port."""
        self._thread.start()
        port: int = self._server.server_address[1]
        return port

    def close(self) -> None:
        """Answers no further request."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    find: Callable[[str], bytes | None]

    def do_GET(self) -> None:
        """Sends a file or the part of it that was asked for."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Sends what GET would, without the body."""
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        content = self.find(path)
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        part = resolve_range(self.headers.get("Range"), len(content))
        if part is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send_head(path, part, len(content))
        if with_body:
            self._send_body(content[part.start : part.stop])

    def _send_head(self, path: str, part: range, size: int) -> None:
        self.send_response(HTTPStatus.OK if len(part) == size else HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", CONTENT_TYPES.get(Path(path).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Accept-Ranges", "bytes")
        if path.endswith(".m3u8"):
            self.send_header("Cache-Control", "no-cache")
        if len(part) != size:
            self.send_header("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}")
        self.end_headers()

    def _send_body(self, body: bytes) -> None:
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            # Players hang up in the middle of a file whenever they seek; the connection is of no use after that.
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: one line for each HLS segment would drown the faults."""
