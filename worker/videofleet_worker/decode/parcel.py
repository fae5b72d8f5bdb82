"""Bytes that are too many for a message: they follow it on the same socket, in packets of their own."""

from collections.abc import Iterator
from typing import Generic, TypeVar

_MOST = 65_536

Heading = TypeVar("Heading")


def packets(data: bytes) -> Iterator[memoryview]:
    """What to send behind a message that tells how many bytes there are."""
    view = memoryview(data)
    for start in range(0, len(data), _MOST):
        yield view[start : start + _MOST]


class Parcel(Generic[Heading]):
    """What follows a message, as it comes in. `heading`: the message."""

    def __init__(self, heading: Heading, size: int) -> None:
        self.heading = heading
        self._size = size
        self._data = bytearray()

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""
        return len(self._data) == self._size

    def add(self, packet: bytes) -> None:
        """The next packet. Raises ValueError for more bytes than were promised."""
        self._data += packet
        if len(self._data) > self._size:
            raise ValueError(f"more than {self._size} bytes")

    def take(self) -> bytes:
        """All of it."""
        return bytes(self._data)
