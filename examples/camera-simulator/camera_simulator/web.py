"""A small HTTP file server: whole files in memory, byte ranges, HTTP or HTTPS."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from .answering import Answering, TlsFiles

CONTENT_TYPES = {".mp4": "video/mp4", ".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


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


class FileServer(Answering):
    """Serves what `find` returns for the path of a request; None from it becomes 404."""

    def __init__(self, host: str, port: int, find: Callable[[str], bytes | None], tls: TlsFiles | None = None) -> None:
        super().__init__("files", (host, port), type("Handler", (_Handler,), {"find": staticmethod(find)}), tls)


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
