"""How frames are fed to inference: every one in order, or always the newest."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from videofleet_api.codes import DropCause
from videofleet_worker.decode.frame import Frame
from videofleet_worker.models.turns import Turns

T = TypeVar("T")
Infer = Callable[[Frame], Awaitable[T]]


async def every_frame(
    frames: AsyncIterator[Frame], infer: Infer[T], turns: Turns, window: int
) -> AsyncGenerator[tuple[Frame, T], None]:
    """Each frame with its answer, in order, `window` frames at work at a time, so that decoding and inference overlap;
    they take their turns one by one with those of other streams.

    The receiver releases the frames. When the source fails, what it delivered before still comes, then the error.
    """
    pending: deque[tuple[Frame, asyncio.Task[T]]] = deque()
    failure: Exception | None = None
    try:
        while failure is None or pending:
            while failure is None and len(pending) < window:
                try:
                    frame = await anext(frames)
                except Exception as error:  # noqa: BLE001 - raised again below, after the frames before it
                    failure = error
                else:
                    pending.append((frame, asyncio.create_task(_ask(infer, frame, turns))))
            if pending:
                frame, task = pending[0]
                answer = await task
                pending.popleft()
                yield frame, answer
    finally:
        await _discard(pending)
    if failure is not None and not isinstance(failure, StopAsyncIteration):
        raise failure


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


async def _ask(infer: Infer[T], frame: Frame, turns: Turns) -> T:
    async with turns:
        return await infer(frame)


async def _discard(pending: deque[tuple[Frame, asyncio.Task[T]]]) -> None:
    """Nobody wants these any more. Their memory is read until their inference has ended."""
    tasks = [task for _, task in pending]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for frame, _ in pending:
        frame.release()


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
