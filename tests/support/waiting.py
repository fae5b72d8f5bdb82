"""Waiting for something to become true, with a deadline instead of a guess."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

POLL_SECONDS = 0.02


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Returns as soon as `holds()` is true; raises AssertionError saying `what` was awaited after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds:.1f} s: {what}")
        time.sleep(POLL_SECONDS)


async def until_changed(
    changed: asyncio.Event, holds: Callable[[], bool], what: Callable[[], str], seconds: float
) -> float:
    """Monotonic time at which `holds()` was true; asked again after each change. AssertionError after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not holds():
                changed.clear()
                await changed.wait()
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what()}") from None
    return time.monotonic()
