"""Whose turn it is."""

import asyncio

import pytest

from videofleet_worker.models.turns import Turns


class _Queue:
    """Some who want their turn, and what happened."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.turns = Turns(lambda: self.room)
        self.at_work: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._take(name))
        await self._settled()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        await self._settled()

    async def leave(self, name: str) -> None:
        self.tasks[name].cancel()
        await asyncio.wait([self.tasks[name]])
        await self._settled()

    async def _take(self, name: str) -> None:
        async with self.turns:
            self.at_work.append(name)
            try:
                await self._ends[name].wait()
            finally:
                self.at_work.remove(name)

    async def _settled(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_who_came_first_is_served_first() -> None:
    queue = _Queue(2)
    await queue.come("a", "b", "c", "d")
    assert queue.at_work == ["a", "b"]
    await queue.end("b")
    assert queue.at_work == ["a", "c"]
    await queue.end("a")
    assert queue.at_work == ["c", "d"]


async def test_more_room_is_used_when_a_turn_ends() -> None:
    queue = _Queue(1)
    await queue.come("a", "b", "c")
    queue.room = 2
    await queue.end("a")
    assert queue.at_work == ["b", "c"]


@pytest.mark.parametrize("who", ["a", "b"])
async def test_who_goes_away_holds_up_nobody(who: str) -> None:
    queue = _Queue(1)
    await queue.come("a", "b", "c")
    await queue.leave(who)
    await queue.end("b" if who == "a" else "a")
    assert queue.at_work == ["c"]


async def test_who_goes_away_in_the_moment_of_being_called_gives_the_turn_on() -> None:
    queue = _Queue(1)
    await queue.come("a", "b", "c")
    queue._ends["a"].set()
    await asyncio.sleep(0)
    # "a" has ended and called "b", which has not run yet.
    await queue.leave("b")
    assert queue.at_work == ["c"]
