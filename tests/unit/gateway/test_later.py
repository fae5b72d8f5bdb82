"""What is made while others answer already."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.archives import becomes
from videofleet_gateway.serving.later import Later


class Made:
    """An application that notes what happens to it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.due = asyncio.Event()
        self.later = Later(self.make, self.is_due)

    async def is_due(self) -> None:
        await self.due.wait()

    async def make(self) -> AbstractAsyncContextManager[ASGIApp]:
        return self._running()

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[ASGIApp, None]:
        self.told.append("made")
        yield self._serve
        # Not reached by a cancellation.
        self.told.append("closed")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.told.append(f"asked for {scope['path']}")

    async def ask(self, path: str) -> None:
        await self.later({"type": "http", "path": path}, _nothing, _nowhere)


async def _nothing() -> Message:
    raise AssertionError("there is no body")


async def _nowhere(message: Message) -> None:
    raise AssertionError(message)


async def test_it_is_made_when_it_is_due_and_closed_at_the_end() -> None:
    made = Made()
    running = asyncio.create_task(made.later.run())
    await asyncio.sleep(0)
    assert made.told == []
    made.due.set()
    await becomes(lambda: made.told == ["made"], "it is made")
    await made.ask("/a")
    running.cancel()
    await running
    assert made.told == ["made", "asked for /a", "closed"]


async def test_who_asks_early_has_it_made_and_waits_for_it() -> None:
    made = Made()
    running = asyncio.create_task(made.later.run())
    await asyncio.gather(made.ask("/a"), made.ask("/b"))
    assert made.told == ["made", "asked for /a", "asked for /b"]
    running.cancel()
    await asyncio.wait([running])


async def test_one_who_does_not_wait_any_more_takes_it_from_nobody_else() -> None:
    made = Made()
    impatient = asyncio.create_task(made.ask("/a"))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    running = asyncio.create_task(made.later.run())
    await made.ask("/b")
    assert made.told == ["made", "asked for /b"]
    running.cancel()
    await asyncio.wait([running])


async def test_what_goes_wrong_is_told_to_who_runs_it_and_nobody_waits_for_ever() -> None:
    async def make() -> AbstractAsyncContextManager[ASGIApp]:
        raise RuntimeError("no page")

    made = Made()
    made.later = Later(make, made.is_due)
    asking = asyncio.create_task(made.ask("/a"))
    with pytest.raises(RuntimeError, match="no page"):
        await made.later.run()
    with pytest.raises(asyncio.CancelledError):
        await asking
