"""A way to a server that breaks: connections end after so many bytes of answers, wherever in an event that is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Cutting:
    """Where the way begins, and what came along it."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    """Head of the first request of each connection."""

    def url(self, path: str) -> str:
        """Address of a path of the server behind it."""
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def cutting(port: int, after: Iterable[int]) -> AsyncIterator[Cutting]:
    """A way to the server on a port of this machine; the n-th connection ends after the n-th number of bytes.

    Connections beyond the last number last as long as the server lets them.
    """
    way = Cutting()
    limits = iter(after)
    ends: set[asyncio.StreamWriter] = set()

    async def come(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        head = await near.readuntil(b"\r\n\r\n")
        way.requests.append(head)
        far, forth = await asyncio.open_connection("127.0.0.1", port)
        ends.update((back, forth))
        forth.write(head)
        await _pass_on(far, back, next(limits, None))
        forth.close()
        # No orderly end: what is not sent yet is lost.
        back.transport.abort()
        ends.difference_update((back, forth))

    server = await asyncio.start_server(come, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        for end in ends:
            end.transport.abort()


async def _pass_on(far: asyncio.StreamReader, back: asyncio.StreamWriter, limit: int | None) -> None:
    sent = 0
    while limit is None or sent < limit:
        data = await far.read(2**16 if limit is None else min(2**16, limit - sent))
        if not data:
            break
        back.write(data)
        await back.drain()
        sent += len(data)
