"""The connection of a camera that FFmpeg speaks to: made by the parent, secured here, given to FFmpeg."""

import contextlib
import select
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from videofleet_worker.decode.dialling import Dialler
from videofleet_worker.decode.threads import SpareThreads
from videofleet_worker.decode.web import Tls
from videofleet_worker.sources.errors import SourceError

_PORTS: Final = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
_SECURE: Final = {"rtsps": "rtsp", "rtmps": "rtmp"}
"""What FFmpeg is to speak inside the secure layer, which is ours."""
_CHUNK: Final = 65_536


class Camera:
    """What FFmpeg gets when it asks for sockets: one connection, and what its datagrams come by.

    failure: why it got no sockets for those.
    """

    def __init__(self, dialler: Dialler, tls: Tls, threads: SpareThreads, timeout: float) -> None:
        self._dialler = dialler
        self._tls = tls
        self._threads = threads
        self._timeout = timeout
        self._stream: int | None = None
        self._receivers: list[int] = []
        self._address = ""
        self.failure: SourceError | None = None

    def connect(self, url: str) -> str:
        """Connect to the server of a URL; the URL as FFmpeg is to open it: without a name or a secret layer.

        Raises SourceError.
        """
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        port = parts.port or _PORTS[scheme]
        sock, self._address = self._dialler.connect(scheme, host, port)
        if scheme in _SECURE:
            sock.settimeout(self._timeout)
            sock = self._pumped(self._tls.wrap(sock, host))
        self._stream = sock.detach()
        literal = f"[{self._address}]" if ":" in self._address else self._address
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(scheme=_SECURE.get(scheme, scheme), netloc=f"{user}{at}{literal}:{port}").geturl()

    def give(self, kind: int) -> int | None:
        """The socket for FFmpeg's next call; None refuses."""
        if kind == socket.SOCK_STREAM:
            given, self._stream = self._stream, None
            return given
        try:
            if not self._receivers:
                self._receivers = list(self._dialler.receivers(self._address))
        except SourceError as error:
            self.failure = error
            return None
        return self._receivers.pop(0)

    def _pumped(self, secure: ssl.SSLSocket) -> socket.socket:
        """A plain socket whose bytes go through a secure one."""
        ours, theirs = socket.socketpair()
        self._threads.start(lambda: _pump(secure, ours))
        return theirs


def _pump(secure: ssl.SSLSocket, plain: socket.socket) -> None:
    """By one thread: a secure socket serves no two at once. Ends with either side."""
    # What comes may be the secure layer's own, behind which no bytes follow until the other side has spoken.
    secure.setblocking(False)
    with contextlib.suppress(OSError), secure, plain:
        while True:
            readable = [secure] if secure.pending() else select.select([secure, plain], [], [])[0]
            if secure in readable:
                data = _received(secure)
                if data == b"":
                    return
                plain.sendall(data or b"")
            if plain in readable:
                data = plain.recv(_CHUNK)
                if not data:
                    return
                _send(secure, data)


def _received(secure: ssl.SSLSocket) -> bytes | None:
    """What has come; None where that is nothing for us, b"" at the end."""
    try:
        return secure.recv(_CHUNK)
    except ssl.SSLWantReadError:
        return None


def _send(secure: ssl.SSLSocket, data: bytes) -> None:
    while data:
        try:
            data = data[secure.send(data) :]
        except ssl.SSLWantWriteError:
            select.select([], [secure], [])
        except ssl.SSLWantReadError:
            select.select([secure], [], [])
