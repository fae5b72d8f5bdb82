"""How frames are fed to inference: every one in order, or always the newest."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from itertools import islice
from typing import Any, Generic, TypeVar

from videofleet_api.codes import DropCause
from videofleet_worker.decode.frame import Frame
from videofleet_worker.models.turns import Turns

T = TypeVar("T")
Infer = Callable[[Frame], Awaitable[T]]


async def every_frame(
    frames: AsyncIterator[Frame], infer: Infer[T], turns: Turns, window: int, together: int = 1
) -> AsyncGenerator[tuple[Frame, T], None]:
    """Each frame with its answer, in order, `window` frames at work at a time, so that decoding and inference overlap;
    they take their turns one by one with those of other streams.

    The receiver releases the frames. When the source fails, what it delivered before still comes, then the error.

    Answers come `together`, as far as so many frames are at work: a run of the model leaves nothing else in the
    processor's caches, and what is done with the first has it there for the next. None waits for a frame that is not
    there yet, for its decoder may wait for this one to be given back.
    """
    line = _Line[T](window, together)
    feeder = asyncio.create_task(line.fill(frames, lambda frame: _ask(infer, frame, turns)))
    try:
        while await line.comes():
            while line.is_answered:
                yield line.take()
    finally:
        feeder.cancel()
        try:
            await asyncio.wait([feeder])
        finally:
            # Also for who is cancelled just then.
            await line.discard()
    if line.failure is not None:
        raise line.failure


async def newest_frame(
    frames: AsyncIterator[Frame],
    infer: Infer[T],
    turns: Turns,
    dropped: Callable[[DropCause], None],
) -> AsyncGenerator[tuple[Frame, T], None]:
    """One frame at a time, the newest when its turn has come; those that come while another is at work, or waits for
    its turn, are dropped.

    The receiver releases the frames.
    """
    latest = _Latest(lambda: dropped(DropCause.BUSY))
    feeder = asyncio.create_task(_feed(frames, latest))
    try:
        while await latest.comes():
            async with turns:
                frame = latest.take()
                try:
                    answer = await infer(frame)
                except BaseException:
                    frame.release()
                    raise
            yield frame, answer
        await feeder
    finally:
        feeder.cancel()
        await asyncio.wait([feeder])
        latest.close()


class _Line(Generic[T]):
    """Frames at work, in order. failure: what has ended their source."""

    def __init__(self, window: int, together: int) -> None:
        self.failure: Exception | None = None
        self._window = window
        self._together = together
        self._at_work: deque[tuple[Frame, asyncio.Task[T]]] = deque()
        self._over = False
        self._room, self._changed = asyncio.Event(), asyncio.Event()
        self._room.set()

    async def fill(self, frames: AsyncIterator[Frame], ask: Callable[[Frame], Coroutine[Any, Any, T]]) -> None:
        """Put all frames to work, each when there is room: none is taken before, which would have to wait for it."""
        try:
            await self._room.wait()
            async for frame in frames:
                self._put(frame, asyncio.create_task(ask(frame)))
                await self._room.wait()
        except Exception as error:  # noqa: BLE001 - raised again after the frames before it
            self.failure = error
        finally:
            self._over = True
            self._changed.set()

    def _put(self, frame: Frame, task: asyncio.Task[T]) -> None:
        self._at_work.append((frame, task))
        task.add_done_callback(self._look)
        if len(self._at_work) >= self._window:
            self._room.clear()

    def _look(self, _: asyncio.Task[T]) -> None:
        if self._are_answered():
            self._changed.set()

    def _are_answered(self) -> bool:
        """Whether the first ones have their answers, as many as are to come together, or as there are."""
        return bool(self._at_work) and all(task.done() for _, task in islice(self._at_work, self._together))

    async def comes(self) -> bool:
        """Wait for the next answers; False after the last one."""
        while not self._are_answered():
            if self._over and not self._at_work:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True

    @property
    def is_answered(self) -> bool:
        """Whether the first frame has its answer."""
        return bool(self._at_work) and self._at_work[0][1].done()

    def take(self) -> tuple[Frame, T]:
        """The first frame and its answer. Raises what its inference has."""
        frame, task = self._at_work[0]
        answer = task.result()
        self._at_work.popleft()
        self._room.set()
        return frame, answer

    async def discard(self) -> None:
        """Nobody wants these any more. Their memory is read until their inference has ended."""
        tasks = [task for _, task in self._at_work]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for frame, _ in self._at_work:
            frame.release()


async def _ask(infer: Infer[T], frame: Frame, turns: Turns) -> T:
    async with turns:
        return await infer(frame)


async def _feed(frames: AsyncIterator[Frame], latest: "_Latest") -> None:
    try:
        async for frame in frames:
            latest.put(frame)
    finally:
        latest.end()


class _Latest:
    """Room for one frame: a newer one replaces it."""

    def __init__(self, dropped: Callable[[], None]) -> None:
        self._frame: Frame | None = None
        self._ended = False
        self._changed = asyncio.Event()
        self._dropped = dropped

    def put(self, frame: Frame) -> None:
        if self._frame is not None:
            self._frame.release()
            self._dropped()
        self._frame = frame
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def comes(self) -> bool:
        """Wait for a frame; False after the last one."""
        while self._frame is None and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        return self._frame is not None

    def take(self) -> Frame:
        """The frame that has come."""
        frame, self._frame = self._frame, None
        assert frame is not None, "comes() has said that there is one"
        return frame

    def close(self) -> None:
        if self._frame is not None:
            self._frame.release()
            self._frame = None
