"""Answers that go on as long as the client listens."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from aiohttp import web

from videofleet_worker.outputs.live import Viewers

_BOUNDARY: Final = "picture"
_VANISHED_AFTER: Final = 10_000
"""Milliseconds without an acknowledgement. The system's own limit is a quarter of an hour, in which a worker would take
an operator whose node is gone for one that listens."""
WEBSOCKET_HEARTBEAT: Final = 20.0
"""Seconds in which a viewer has to answer a ping."""


async def stream(request: web.Request, content_type: str, parts: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """Send the parts as they come. A client that goes away is no error."""
    response = web.StreamResponse(headers={"Content-Type": content_type, "Cache-Control": "no-store"})
    async with aclosing(parts):
        try:
            await response.prepare(request)
            notice_when_it_vanishes(request)
            async for part in parts:
                await response.write(part)
        except ConnectionError:
            return response
    return response


async def until_closed(socket: web.WebSocketResponse, leave: Callable[[], None]) -> None:
    """Read what the client sends, which is of no interest, or its pongs and its goodbye go unheard; then `leave`."""
    async for _ in socket:
        pass
    leave()


async def stream_pictures(request: web.Request, viewers: Viewers) -> web.StreamResponse:
    """Moving JPEG, as browsers and players take it (multipart/x-mixed-replace), until there are no more pictures."""
    return await stream(request, f"multipart/x-mixed-replace; boundary={_BOUNDARY}", _parts(viewers))


async def _parts(viewers: Viewers) -> AsyncGenerator[bytes, None]:
    with viewers.enter() as viewer:
        async for picture in viewer.pictures():
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            yield head.encode() + picture + b"\r\n"


def notice_when_it_vanishes(request: web.Request) -> None:
    """Have the connection end soon after its other side has gone without a word."""
    connection = request.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _VANISHED_AFTER)
