"""The connection under a request, for bytes that many clients get alike."""

import asyncio
from dataclasses import dataclass
from typing import Final

WIRE: Final = "videofleet.wire"
"""In the scope of a request: its connection, where the server gives it."""
_MOST_WAITING: Final = 64 * 1024
"""Bytes that a client may leave unread here, beyond what the system holds for it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a log, framed once for all who get them."""

    begin: int
    data: bytes
    chunk: bytes
    """The same as a chunk of HTTP/1.1."""

    @classmethod
    def of(cls, begin: int, data: bytes) -> "Part":
        """The bytes at an offset."""
        return cls(begin, data, b"%x\r\n%b\r\n" % (len(data), data))

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.begin + len(self.data)


class Wire:
    """A client's connection. Between two messages of a response that is sent in chunks, parts may go out here."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def send(self, part: Part, *, chunked: bool) -> bool:
        """Hand a part over without waiting. False: nothing was, because the client has not taken enough yet or left."""
        transport = self._transport
        if transport.is_closing() or transport.get_write_buffer_size() > _MOST_WAITING:
            return False
        transport.write(part.chunk if chunked else part.data)
        return True

    def cut(self) -> None:
        """Let go of the client and of all that it has not taken."""
        self._transport.abort()
