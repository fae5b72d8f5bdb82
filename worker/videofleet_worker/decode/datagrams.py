"""A transport stream that comes as datagrams."""

import socket

from videofleet_api.codes import ErrorCode
from videofleet_worker.sources.errors import SourceError

# More than any datagram holds; FFmpeg must ask for as much, or the rest of one would be lost.
LARGEST = 65_536


class DatagramStream:
    """Reads as a file does, a datagram at a time. `last`: why it ended, as FFmpeg is told of an end only."""

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        sock.settimeout(timeout)
        self._socket = sock
        self._any = False
        self.last: SourceError | None = None

    def read(self, size: int) -> bytes:
        """The next datagram; none when nothing came for long."""
        try:
            data = self._socket.recv(size)
        except TimeoutError:
            code = ErrorCode.STALLED if self._any else ErrorCode.TIMEOUT
            self.last = SourceError(code, "nothing is sent to the address")
            return b""
        self._any = True
        return data

    @property
    def first(self) -> SourceError | None:
        """As `last`: it ends once."""
        return self.last
