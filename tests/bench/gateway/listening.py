"""Many clients in a process of their own, so that what they cost is not the server's.

`python -m tests.bench.gateway.listening PORT COUNT KEY PATH...`: clients spread over the paths. It writes a line once
all have an answer, and after its input has ended what they got.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

_SAMPLES = 40
"""Clients whose bytes are timed; the others only count them."""
_AT_ONCE = 50


@dataclass
class Client(asyncio.Protocol):
    """One stream."""

    path: str
    sampled: bool
    answered: asyncio.Future[None]
    raw: int = 0
    body: int = 0
    times: list[tuple[float, int]] = field(default_factory=list)
    """When how many bytes of the body were there."""
    broken: bool = False
    _rest: bytes = b""
    _left: int = 0

    def data_received(self, data: bytes) -> None:
        """Count; the head first."""
        if not self.answered.done():
            head, mark, data = (self._rest + data).partition(b"\r\n\r\n")
            self._rest = b"" if mark else head
            if not mark:
                return
            assert head.startswith(b"HTTP/1.1 200"), head
            self.answered.set_result(None)
        self.raw += len(data)
        if self.sampled and data:
            self._count(self._rest + data)
            self.times.append((time.monotonic(), self.body))

    def _count(self, data: bytes) -> None:
        while data:
            if not self._left:
                size, mark, rest = data.partition(b"\r\n")
                if not mark:
                    break
                # With the line end behind it.
                self._left, data = int(size, 16) + 2, rest
            taken = min(self._left, len(data))
            self.body += taken
            self._left -= taken
            data = data[taken:]
            if not self._left:
                self.body -= 2
        self._rest = data

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing ends a stream while it is measured."""
        self.broken = True


async def listen(port: int, count: int, key: str, paths: list[str]) -> list[dict[str, Any]]:
    """Connect, say so, count until the input ends."""
    loop = asyncio.get_running_loop()
    clients = [
        Client(paths[number % len(paths)], number % max(1, count // _SAMPLES) == 0, loop.create_future())
        for number in range(count)
    ]
    for first in range(0, count, _AT_ONCE):
        some = clients[first : first + _AT_ONCE]
        for client in some:
            transport, _ = await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
            transport.write(f"GET {client.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        await asyncio.gather(*(client.answered for client in some))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    return [
        {"path": client.path, "raw": client.raw, "broken": client.broken, "times": client.times} for client in clients
    ]


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(json.dumps(asyncio.run(listen(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))))
