"""Waiting with a deadline, and a session to a server without TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from videofleet_kube import ApiSession, fixed
from videofleet_kube.credentials import ServerAccess

Json = dict[str, Any]


async def eventually(condition: Callable[[], object], timeout: float = 60.0) -> None:
    """Return once the condition holds; AssertionError when it does not within the timeout."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not condition():
        assert loop.time() < deadline, f"did not come true within {timeout:g} s"
        await asyncio.sleep(0.005)


def session_to(host: str, timeout: float = 60.0) -> ApiSession:
    """A session with a constant token; not yet open."""
    return ApiSession(fixed(ServerAccess(host, authorization="Bearer constant")), timeout=timeout)


class ManualClock:
    """Monotonic seconds that pass only when something sleeps on them."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Pass the time at once, but let others run."""
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def promptly(limit: float = 0.002) -> Callable[[float], Awaitable[None]]:
    """A sleep that never takes long, for back-offs in tests."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, limit))

    return sleep
