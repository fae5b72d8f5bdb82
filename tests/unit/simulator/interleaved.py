"""A bare RTSP client over one TCP connection, for what a player hides: RTCP, and the dialogue under silence."""

from __future__ import annotations

import re
import socket
import time
from types import TracebackType
from typing import Self


class InterleavedClient:
    """Speaks RTSP 1.0 with interleaved RTP (RFC 2326, 10.12) to one camera."""

    def __init__(self, port: int, path: str) -> None:
        self._url = f"rtsp://127.0.0.1:{port}{path}"
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._sequence = 0
        self._session = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def play(self) -> None:
        """Sets the first stream up and starts it."""
        self.ask("DESCRIBE")
        answer = self.ask("SETUP", "/stream=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n")
        session = re.search(r"Session: *([^;\r]+)", answer)
        assert session, answer
        self._session = f"Session: {session[1]}\r\n"
        self.ask("PLAY")

    def ask(self, method: str, below: str = "", header: str = "") -> str:
        """Sends a request; returns the answer's head, and skips media that comes before it."""
        self._sequence += 1
        lines = f"{method} {self._url}{below} RTSP/1.0\r\nCSeq: {self._sequence}\r\n{header}{self._session}\r\n"
        self._socket.settimeout(60)
        self._socket.sendall(lines.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._exactly(1)
            if head == b"$":
                self._exactly(int.from_bytes(self._exactly(3)[1:], "big"))
                head = b""
        if length := re.search(rb"Content-Length: *(\d+)", head):
            self._exactly(int(length[1]))
        return head.decode()

    def receives_data(self, within: float) -> bool:
        """Whether any byte arrives in so many seconds; False too when the connection is closed."""
        self._socket.settimeout(within)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False

    def drain(self, quiet: float, seconds: float = 60.0) -> None:
        """Takes whole packets off the connection until none comes for `quiet` seconds."""
        deadline = time.monotonic() + seconds
        while self.receives_data(within=quiet):
            assert time.monotonic() < deadline, "packets still come"
            assert self._exactly(1) == b"$"
            self._exactly(int.from_bytes(self._exactly(3)[1:], "big"))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            assert part, "the connection was closed"
            data += part
        return data
