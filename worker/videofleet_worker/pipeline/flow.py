"""How frames are fed to inference: every one in order, or always the newest."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
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

    The receiver releases the frames. When the source fails, what it delivered before still comes, then the error. An
    answer that is there is told although the next frame is not: its decoder may wait for this one to be given back.
    """
    pending: deque[tuple[Frame, asyncio.Task[T]]] = deque()
    ahead = _Ahead(frames)
    try:
        while not ahead.over or pending:
            while len(pending) < window and await ahead.comes_before([task for _, task in pending]):
                frame = await ahead.take()
                if frame is not None:
                    pending.append((frame, asyncio.create_task(_ask(infer, frame, turns))))
            if pending:
                frame, task = pending[0]
                answer = await task
                pending.popleft()
                yield frame, answer
    finally:
        try:
            await ahead.close()
        finally:
            # Also for who is cancelled just then.
            await _discard(pending)
    if ahead.failure is not None:
        raise ahead.failure


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


class _Ahead:
    """The frame that is waited for, while those before it are at work. over: there is none any more."""

    def __init__(self, frames: AsyncIterator[Frame]) -> None:
        self.over = False
        self.failure: Exception | None = None
        self._frames = frames
        self._coming: asyncio.Task[Frame | None] | None = None

    async def comes_before(self, answers: Sequence[asyncio.Task[T]]) -> bool:
        """Whether it has come when the first of the answers is there."""
        if self.over:
            return False
        self._coming = self._coming or asyncio.create_task(self._next())
        await asyncio.wait((self._coming, *answers[:1]), return_when=asyncio.FIRST_COMPLETED)
        return self._coming.done()

    async def take(self) -> Frame | None:
        """It, once it has come; None when the source is over, or has failed."""
        assert self._coming is not None, "comes_before() said that it has"
        coming, self._coming = self._coming, None
        try:
            frame = await coming
        except Exception as error:  # noqa: BLE001 - raised again after the frames before it
            frame, self.failure = None, error
        self.over = frame is None
        return frame

    async def close(self) -> None:
        """Nobody wants it any more."""
        if self._coming is None:
            return
        self._coming.cancel()
        await asyncio.wait([self._coming])
        if self._coming.cancelled() or self._coming.exception() is not None:
            return
        frame = self._coming.result()
        if frame is not None:
            frame.release()

    async def _next(self) -> Frame | None:
        return await anext(self._frames, None)


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
