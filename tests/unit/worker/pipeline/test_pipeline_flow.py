"""How frames are fed to inference."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from tests.support.archives import becomes
from videofleet_api.codes import DropCause
from videofleet_worker.decode.frame import Frame, FrameHeader
from videofleet_worker.decode.ring import SlotViews
from videofleet_worker.models.turns import Turns
from videofleet_worker.pipeline.flow import every_frame, newest_frame

_EMPTY = np.zeros((2, 2), np.uint8)


class _Frames:
    """Frames that know whether they were given back."""

    def __init__(self, count: int) -> None:
        self.held: set[int] = set()
        self.most_held = 0
        self._count = count
        self.failure: Exception | None = None
        self.gate: Callable[[int], asyncio.Event | None] = lambda index: None

    def make(self, index: int) -> Frame:
        self.held.add(index)
        self.most_held = max(self.most_held, len(self.held))
        header = FrameHeader(index, index / 10, 0.0, 2, 2, True, False)
        return Frame(header, SlotViews(_EMPTY, _EMPTY, _EMPTY, _EMPTY), lambda: self.held.discard(index))

    async def __call__(self) -> AsyncGenerator[Frame, None]:
        for index in range(self._count):
            gate = self.gate(index)
            if gate is not None:
                await gate.wait()
            yield self.make(index)
        if self.failure is not None:
            raise self.failure


def _turns(room: int = 8) -> Turns:
    return Turns(lambda: room)


def _ignore(cause: DropCause) -> None:
    """Of what is dropped."""


async def _answer(frame: Frame) -> int:
    # The later a frame, the sooner its answer.
    await asyncio.sleep(0.001 * (10 - frame.index % 10))
    return frame.index * 100


async def _consume(answered: AsyncGenerator[tuple[Frame, Any], None], found: list[int]) -> None:
    async for frame, _ in answered:
        found.append(frame.index)
        frame.release()


async def _settled() -> None:
    """Everything has been done that needs nothing from outside: no step of it takes more turns of the loop."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_every_frame_comes_in_order_with_its_answer() -> None:
    frames = _Frames(20)
    found = []
    async for frame, answer in every_frame(frames(), _answer, _turns(), 3):
        found.append((frame.index, answer))
        frame.release()
    assert found == [(index, index * 100) for index in range(20)]
    assert frames.most_held <= 4


async def test_several_are_asked_at_a_time() -> None:
    frames = _Frames(6)
    at_work, most = 0, 0

    async def ask(frame: Frame) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.002)
        at_work -= 1

    async for frame, _ in every_frame(frames(), ask, _turns(), 3):
        frame.release()
    assert most == 3


@pytest.mark.parametrize("together", [1, 2])
async def test_a_frame_is_told_although_the_next_one_waits_for_it_to_be_given_back(together: int) -> None:
    frames = _Frames(6)

    async def one_at_a_time() -> AsyncGenerator[Frame, None]:
        async for frame in frames():
            yield frame
            while frames.held:  # noqa: ASYNC110 - a decoder without another slot
                await asyncio.sleep(0)

    found: list[int] = []
    async with asyncio.timeout(60):
        await _consume(every_frame(one_at_a_time(), _answer, _turns(), 3, together), found)
    assert found == list(range(6))
    assert frames.most_held == 1


async def test_answers_are_told_together_though_each_is_there_by_itself() -> None:
    frames, answers = _Frames(5), [asyncio.Event() for _ in range(5)]
    found: list[int] = []

    async def ask(frame: Frame) -> None:
        await answers[frame.index].wait()

    consuming = asyncio.create_task(_consume(every_frame(frames(), ask, _turns(), 4, together=2), found))
    told = []
    for index in (0, 1, 3, 2, 4):
        answers[index].set()
        await _settled()
        told.append(list(found))
    await consuming
    # The last one has none beside it.
    assert told == [[], [0, 1], [0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert frames.held == set()


async def test_of_those_that_come_together_the_first_is_told_before_the_failure_of_the_second() -> None:
    frames = _Frames(4)
    found: list[int] = []

    async def ask(frame: Frame) -> None:
        if frame.index == 1:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await _consume(every_frame(frames(), ask, _turns(), 4, together=2), found)
    assert found == [0]
    assert frames.held == set()


async def test_who_stops_while_the_next_frame_is_waited_for_leaves_none_behind() -> None:
    frames, never = _Frames(3), asyncio.Event()
    frames.gate = lambda index: never if index == 1 else None
    async with asyncio.timeout(60):
        async with aclosing(every_frame(frames(), _answer, _turns(), 3)) as answered:
            frame, _ = await anext(answered)
            frame.release()
    assert frames.held == set()


async def test_who_is_cancelled_while_its_source_takes_its_time_to_stop_leaves_none_behind() -> None:
    frames, stopping, never = _Frames(2), asyncio.Event(), asyncio.Event()

    async def slow_to_stop() -> AsyncGenerator[Frame, None]:
        yield frames.make(0)
        try:
            await never.wait()
        finally:
            stopping.set()
            await asyncio.sleep(0.05)

    async def unanswered(frame: Frame) -> None:
        await never.wait()

    consuming = asyncio.create_task(_consume(every_frame(slow_to_stop(), unanswered, _turns(), 3), []))
    await becomes(lambda: frames.held == {0}, "the first frame is asked about")
    for comes in (asyncio.sleep(0), stopping.wait()):
        await comes
        consuming.cancel()
    await asyncio.wait([consuming])
    assert frames.held == set()


async def test_what_came_before_a_failure_is_told_before_it() -> None:
    frames = _Frames(4)
    frames.failure = RuntimeError("the camera has gone")
    found: list[int] = []
    with pytest.raises(RuntimeError, match="gone"):
        await _consume(every_frame(frames(), _answer, _turns(), 3), found)
    assert found == [0, 1, 2, 3]


async def test_who_stops_early_leaves_no_frame_behind() -> None:
    frames = _Frames(20)
    async with aclosing(every_frame(frames(), _answer, _turns(), 3)) as answered:
        frame, _ = await anext(answered)
        frame.release()
    assert frames.held == set()


async def test_a_failed_answer_leaves_no_frame_behind() -> None:
    frames = _Frames(20)

    async def ask(frame: Frame) -> None:
        if frame.index == 5:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await _consume(every_frame(frames(), ask, _turns(), 3), [])
    assert frames.held == set()


async def test_the_newest_frame_is_taken_and_the_others_are_dropped_and_counted() -> None:
    frames = _Frames(10)
    asked, busy, dropped = asyncio.Event(), asyncio.Event(), Counter[DropCause]()
    frames.gate = lambda index: asked if index else None

    def drop(cause: DropCause) -> None:
        dropped[cause] += 1
        if dropped[DropCause.BUSY] == 8:
            # All the others have come while the first was at work.
            busy.set()

    async def ask(frame: Frame) -> None:
        asked.set()
        await busy.wait()

    found = []
    async for frame, _ in newest_frame(frames(), ask, _turns(), drop):
        found.append(frame.index)
        frame.release()
    assert (found, dropped) == ([0, 9], {DropCause.BUSY: 8})
    assert frames.held == set()


async def test_the_failure_of_a_live_source_is_told() -> None:
    frames = _Frames(1)
    frames.failure = RuntimeError("the camera has gone")
    with pytest.raises(RuntimeError, match="gone"):
        await _consume(newest_frame(frames(), _answer, _turns(), _ignore), [])
    assert frames.held == set()


async def test_who_stops_watching_a_live_source_leaves_no_frame_behind() -> None:
    frames = _Frames(50)
    never = asyncio.Event()
    frames.gate = lambda index: never if index == 5 else None
    async with aclosing(newest_frame(frames(), _answer, _turns(), _ignore)) as answered:
        frame, _ = await anext(answered)
        frame.release()
    assert frames.held == set()


async def test_a_live_stream_that_waited_for_its_turn_takes_the_frame_that_is_newest_then() -> None:
    frames, turns, found = _Frames(6), _turns(1), []
    come, over = asyncio.Event(), asyncio.Event()
    frames.gate = lambda index: over if index == 5 else None
    dropped = Counter[DropCause]()

    def drop(cause: DropCause) -> None:
        dropped[cause] += 1
        if dropped[DropCause.BUSY] == 4:
            come.set()

    async def watch() -> None:
        async for frame, _ in newest_frame(frames(), _answer, turns, drop):
            found.append(frame.index)
            frame.release()
            over.set()

    async with turns:
        watching = asyncio.create_task(watch())
        await come.wait()
    await watching
    assert (found, dropped) == ([4, 5], {DropCause.BUSY: 4})
    assert frames.held == set()
