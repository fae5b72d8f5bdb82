"""What a way out to a receiver is: it sends one message at a time, and says how one was lost."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Payload:
    """What is sent: its bytes, and the headers that belong to them where the way has headers."""

    body: bytes
    headers: Mapping[str, str]

    def with_headers(self, more: Mapping[str, str]) -> "Payload":
        """The same with further headers."""
        return Payload(self.body, {**self.headers, **more})


Make = Callable[[], Awaitable[Payload | None]]
"""None: what it is about is no longer there."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something to send. `key` names it, so that a receiver knows one that comes twice; it is made when it is sent.

    about: what may stand in the name of the place that it is sent to.
    """

    key: str
    make: Make
    about: Mapping[str, str] = field(default_factory=dict)


class LostError(Exception):
    """The message was not delivered. `final`: another attempt is of no use."""

    def __init__(self, cause: str, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.cause = cause
        self.final = final


class Sender(Protocol):
    """A way out. `host`: whom it leads to, for people."""

    host: str

    async def send(self, message: Message) -> None:
        """Deliver it. Raises LostError."""
        ...

    def close(self) -> None:
        """Leave the receiver."""
        ...


async def made(message: Message) -> Payload:
    """The payload of a message. Raises LostError."""
    payload = await message.make()
    if payload is None:
        raise LostError("no_picture", "its picture could not be read", final=True)
    return payload
