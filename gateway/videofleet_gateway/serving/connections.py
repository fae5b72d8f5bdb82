"""Connections of this process: how many there may be, for how long one may say nothing, and what lies under streams."""

import asyncio
import http
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from videofleet_gateway.errors import Failure, GatewayError, Render
from videofleet_gateway.results.wire import WIRE, Wire

_HEAD_SECONDS: Final = 20.0
"""In which a request has to be there, but for its body: from the connection on, later from its first byte on."""


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

    def protocol(self, render: Render) -> type[H11Protocol]:
        """What speaks HTTP/1 over one of them."""
        connections = self

        class Connection(H11Protocol):
            _late: asyncio.TimerHandle | None = None

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
                super().connection_made(transport)
                if connections.open > connections.limit:
                    self._refuse(GatewayError(Failure.UNAVAILABLE, "there are too many connections", retry_after=1))
                    return
                self.app = partial(_over, Wire(transport), self.app)
                self._wait_for_head()

            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                if self.cycle is None or self.cycle.response_complete:
                    self._wait_for_head()
                elif self._late is not None:
                    self._late.cancel()
                    self._late = None

            def send_400_response(self, msg: str) -> None:
                self._refuse(GatewayError(Failure.MALFORMED, "this is no request of HTTP/1.1"))

            def _refuse(self, error: GatewayError) -> None:
                self.transport.write(_written(render(error), error.retry_after))
                self.transport.close()

            def _wait_for_head(self) -> None:
                if self._late is None:
                    self._late = self.loop.call_later(connections.head_seconds, self._hang_up)

            def _hang_up(self) -> None:
                # One that has become a WebSocket is no connection of this protocol any more.
                if self in self.connections:
                    self.transport.abort()

        return Connection


async def _over(wire: Wire, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request over this wire."""
    await app({**scope, WIRE: wire}, receive, send)


def _written(answer: Response, retry_after: float | None) -> bytes:
    """An answer to what never became a request; a page of any origin may read it."""
    more = {"Connection": "close", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
    if retry_after is not None:
        more["Retry-After"] = f"{retry_after:g}"
    answer.headers.update(more)
    head = f"HTTP/1.1 {answer.status_code} {http.HTTPStatus(answer.status_code).phrase}\r\n".encode()
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in answer.raw_headers)
    return head + lines + b"\r\n" + bytes(answer.body)
