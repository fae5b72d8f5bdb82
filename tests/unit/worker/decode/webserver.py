"""A web server that serves a few files, well or badly."""

import base64
import hashlib
import hmac
import os
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote
from urllib.request import parse_http_list, parse_keqv_list

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEYS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
"""Id and secret of those who may read objects."""
NONCE = "dcd98b7102dd"
_PAUSE = 0.3


@dataclass
class Page:
    """One file and how it is served.

    status: refuse with this one. login: user:password to ask for. cut_after: close the connection after so many bytes
    of the body. hang_after: send no more after so many bytes, and keep the connection. give_up_after: close each
    connection after so many bytes that it sent. moved: send the client there. digest: ask for the login by Digest.
    expires: each nonce of Digest is good for one answer. later: what requests for a later part are refused with, in
    turn; then they are served. sized: say how long it is, and serve parts of it. pause_after: wait a moment after so
    many bytes. reset: break the connection off after the header, without an end.
    """

    body: bytes = b""
    status: int = 200
    login: str | None = None
    cut_after: int | None = None
    hang_after: int | None = None
    give_up_after: int | None = None
    moved: str | None = None
    digest: bool = False
    expires: bool = False
    later: list[int] = field(default_factory=list)
    sized: bool = True
    pause_after: int = 0
    reset: bool = False
    nonces: int = 0
    """How many have expired."""

    @property
    def nonce(self) -> str:
        """The one that is good now."""
        return f"{NONCE}{self.nonces:x}"


@dataclass
class WebServer:
    """The running server; pages may be added while it runs."""

    port: int
    scheme: str = "http"
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Authorization of every request."""
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
        web.asked.append((self.path, self.headers.get("Authorization")))
        page = web.pages.get(self.path if not self.path.startswith("/objects/") else self._object())
        if page is None:
            self._refuse(404)
        elif page.moved is not None:
            self._move(page.moved)
        elif page.login is not None and (challenge := self._challenge(page, page.login)) is not None:
            self._refuse(401, challenge)
        elif page.status != 200:
            self._refuse(page.status)
        elif page.later and self._first_byte():
            self._refuse(page.later.pop(0))
        else:
            self._send(page, web.stopping)

    def _object(self) -> str:
        """As an object store: the path alone where the query is signed as it must be, else the path of nothing."""
        path, _, query = self.path.partition("?")
        return path if signed(self.headers["Host"], path, query) else "/AccessDenied"

    def _challenge(self, page: Page, login: str) -> str | None:
        """What is asked of whoever is not known; None for who is."""
        given = self.headers.get("Authorization", "")
        if not page.digest:
            return None if given == _basic(login) else 'Basic realm="camera"'
        scheme, _, rest = given.partition(" ")
        answer = parse_keqv_list(parse_http_list(rest)) if scheme == "Digest" else {}
        knows = _answers(answer, login, self.path)
        if knows and answer["nonce"] == page.nonce:
            page.nonces += page.expires
            return None
        stale = ", stale=true" if knows else ""
        return f'Digest realm="camera", nonce="{page.nonce}", qop="auth,auth-int", opaque="x", algorithm=MD5{stale}'

    def _first_byte(self) -> int:
        """Of the part that is asked for."""
        return int(match[1]) if (match := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0

    def _move(self, location: str) -> None:
        self.send_response(302)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int, challenge: str | None = None) -> None:
        self.send_response(status)
        if challenge is not None:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, page: Page, stopping: threading.Event) -> None:
        size = len(page.body)
        if not page.sized:
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            if page.reset:
                self._reset()
            else:
                self.wfile.write(page.body)
            return
        start = self._first_byte()
        self.send_response(206 if start else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(size - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        given_up = None if page.give_up_after is None else start + page.give_up_after
        end = min(limit for limit in (size, page.cut_after, page.hang_after, given_up) if limit is not None)
        if page.pause_after:
            self.wfile.write(page.body[start : start + page.pause_after])
            stopping.wait(_PAUSE)
            start += page.pause_after
        self.wfile.write(page.body[start:end])
        if page.hang_after is not None:
            stopping.wait()
        if end < size:
            self.close_connection = True

    def _reset(self) -> None:
        """Once the header has been read, for what is not read yet may be lost."""
        time.sleep(_PAUSE)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def signed(host: str, path: str, query: str) -> bool:
    """Whether KEYS have signed a GET (AWS Signature Version 4, by query)."""
    fields = dict(pair.partition("=")[::2] for pair in query.split("&"))
    given = fields.pop("X-Amz-Signature", "")
    wanted = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    asked = "\n".join(["GET", path, wanted, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"])
    user, _, scope = unquote(fields.get("X-Amz-Credential", "")).partition("/")
    digest = hashlib.sha256(asked.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", fields.get("X-Amz-Date", ""), scope, digest])
    key = f"AWS4{KEYS[1]}".encode()
    for part in [*scope.split("/"), text]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return (user, given) == (KEYS[0], key.hex())


def encrypted(segment: bytes, key: bytes, number: int) -> bytes:
    """A segment of HLS by AES-128 (RFC 8216, 5.2): without an IV of its own, its number is its IV."""
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES128(key), modes.CBC(number.to_bytes(16, "big"))).encryptor()
    return encryptor.update(padder.update(segment) + padder.finalize()) + encryptor.finalize()


def _answers(given: dict[str, str], login: str, path: str) -> bool:
    """RFC 7616, 3.4.1."""
    user, _, password = login.partition(":")
    who = _md5(f"{user}:camera:{password}")
    what = _md5(f"GET:{path}")
    expected = _md5(f"{who}:{given.get('nonce')}:{given.get('nc')}:{given.get('cnonce')}:auth:{what}")
    return (given.get("response"), given.get("uri"), given.get("opaque")) == (expected, path, "x")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()
