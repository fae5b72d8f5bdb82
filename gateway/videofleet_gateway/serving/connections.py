"""Connections of this process: how many there may be, for how long one may say nothing, and what lies under streams."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from videofleet_gateway.results.wire import WIRE, Wire

_HEAD_SECONDS: Final = 20.0
"""In which a new connection has to have asked for something."""
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class Connections:
    """Those of all ports."""

    limit: int
    head_seconds: float = _HEAD_SECONDS
    ports: list[Collection[object]] = field(default_factory=list)
    """The open ones of each port, as its server keeps them."""

    @property
    def open(self) -> int:
        """How many there are."""
        return sum(map(len, self.ports))

    def protocol(self) -> type[H11Protocol]:
        """What speaks HTTP/1 over one of them."""
        connections = self

        class Connection(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
                super().connection_made(transport)
                if connections.open > connections.limit:
                    transport.write(_FULL)
                    transport.close()
                    return
                self.app = partial(_over, Wire(transport), self.app)
                self._late = self.loop.call_later(connections.head_seconds, self._hang_up)

            def _hang_up(self) -> None:
                # One that has become a WebSocket is no connection of this protocol any more.
                if self.cycle is None and self in self.connections:
                    self.transport.abort()

        return Connection


async def _over(wire: Wire, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request over this wire."""
    await app({**scope, WIRE: wire}, receive, send)
