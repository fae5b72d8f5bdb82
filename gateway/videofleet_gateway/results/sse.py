"""The bytes of a log as server-sent events, as long as the client listens."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEADERS: Final = {
    "Content-Type": "text/event-stream",
    # Whatever lies between must neither keep nor compress nor collect it.
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
_HEARTBEAT: Final = b":\n"
"""No blank line behind it: it is no event, and no part of the log."""

Parts = AsyncGenerator[bytes, None]


@dataclass(slots=True)
class Listener:
    """What is told of one client: `sent` gets the bytes of each part."""

    sent: Callable[[int], None]
    left: Callable[[], None]


class LogResponse(Response):
    """The parts as they come. The head is sent at once, long before there may be anything else.

    `heartbeat`: seconds of silence after which a sign of life is sent, which counts in no offset.
    """

    def __init__(self, parts: Parts, listener: Listener, heartbeat: float | None = None) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._parts = parts
        self._listener = listener
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the log or the client has come to an end."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self._listener.left()

    async def _send_all(self, send: Send) -> None:
        async with contextlib.aclosing(self._parts) as parts:
            async for part in _with_heartbeats(parts, self._heartbeat):
                await send({"type": "http.response.body", "body": part, "more_body": True})
                self._listener.sent(len(part))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _with_heartbeats(parts: Parts, seconds: float | None) -> AsyncGenerator[bytes, None]:
    if seconds is None:
        async for part in parts:
            yield part
        return
    coming: asyncio.Future[bytes] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(parts))
            done, _ = await asyncio.wait({coming}, timeout=seconds)
            if not done:
                yield _HEARTBEAT
                continue
            try:
                part = coming.result()
            except StopAsyncIteration:
                return
            finally:
                coming = None
            yield part
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
