"""The bytes of a log as server-sent events, as long as the client listens."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from videofleet_archive.errors import BelowHorizonError
from videofleet_gateway.results.feed import Feed
from videofleet_gateway.results.wire import WIRE

HEADERS: Final = {
    "Content-Type": "text/event-stream",
    # Whatever lies between must neither keep nor compress nor collect it.
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
_HEARTBEAT: Final = b":\n"
"""No blank line behind it: it is no event, and no part of the log."""


@dataclass(slots=True)
class Listener:
    """One client: from where it listens, and what it holds as long as it does."""

    feed: Feed
    start: int
    sent: Callable[[int], None]
    """Is told of the bytes that went out."""
    held: AsyncExitStack


class LogResponse(Response):
    """The log from an offset on. The head is sent at once, long before there may be anything else.

    `heartbeat`: seconds of silence after which a sign of life is sent, which counts in no offset.
    """

    def __init__(self, listener: Listener, heartbeat: float | None = None) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._listener = listener
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the log or the client has come to an end."""
        async with self._listener.held:
            sending = asyncio.create_task(self._send_all(scope, send))
            leaving = asyncio.create_task(_disconnected(receive))
            try:
                await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    sending.result()
            finally:
                for task in (sending, leaving):
                    task.cancel()
                await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send_all(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        feed, sent = self._listener.feed, self._listener.sent
        # HTTP/1.0 has no chunks: there the body ends with the connection.
        tap = feed.tap(self._listener.start, scope.get(WIRE), chunked=scope["http_version"] != "1.0", sent=sent)
        while not feed.stopped:
            if tap.offset < feed.tip:
                try:
                    data = await feed.read(tap.offset)
                except BelowHorizonError:
                    # Slower than the horizon: it finds out which offset is the oldest when it returns.
                    break
                await send(_body(data))
                tap.offset += len(data)
                sent(len(data))
            elif feed.over:
                feed.check()
                break
            elif not await tap.wait(self._heartbeat):
                await send(_body(_HEARTBEAT))
        await send(_body(b"", more=False))


def _body(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
