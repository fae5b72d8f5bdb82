"""Annotated pictures of a stream: the snapshot beside its results, and what live viewers see."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from videofleet_archive.errors import ArchiveError
from videofleet_archive.threads import StoreThreads
from videofleet_worker.decode.frame import Frame
from videofleet_worker.outputs.annotate import annotate
from videofleet_worker.outputs.jpeg import encode_jpeg
from videofleet_worker.outputs.live import Viewers
from videofleet_worker.outputs.outlines import Outline
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.sources.clock import Clock

_LOGGER: Final = logging.getLogger(__name__)
SNAPSHOT_SECONDS: Final = 2.0
_NONE: Final = (-1, -1)


class SharedFrame:
    """A frame that several hold; it goes back to the decoder when the last one lets go. For one event loop."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._holders = 1

    def keep(self) -> "SharedFrame":
        """One more holder."""
        self._holders += 1
        return self

    def release(self) -> None:
        """One holder less."""
        self._holders -= 1
        if self._holders == 0:
            self.frame.release()


@dataclass(frozen=True, slots=True)
class _Candidate:
    shared: SharedFrame
    objects: Sequence[FoundObject]
    outlines: Sequence[Outline]
    is_snapshot: bool
    is_late: bool = False
    """Drawn for the snapshot alone: who watches has seen later frames."""


class Pictures:
    """Draws at most one picture at a time, and only when somebody watches or the snapshot is due or asked for.

    Of a recorded source the snapshot is the frame with the most tracked objects (of equals: the most objects), of a
    live one the current frame. When the privacy masks change, all pictures of frames from before are forgotten.
    """

    def __init__(self, threads: StoreThreads, key: str, executor: Executor, clock: Clock) -> None:
        self.viewers = Viewers()
        self.live = False
        self._threads = threads
        self._key = key
        self._executor = executor
        self._clock = clock
        self._best = _NONE
        self._masks = 0
        self._due = clock.monotonic()
        self._save_due = clock.monotonic()
        self._unsaved: bytes | None = None
        self._drawn: bytes | None = None
        # A better snapshot than the one that is drawn, until it is worth while to draw one again.
        self._better: _Candidate | None = None
        self._waiting: _Candidate | None = None
        self._task: asyncio.Task[None] | None = None

    def offer(self, shared: SharedFrame, objects: Sequence[FoundObject], outlines: Sequence[Outline] = ()) -> None:
        """A frame was analysed. Keeps it as long as it is needed."""
        is_snapshot = self._is_snapshot(objects)
        if is_snapshot:
            self._better = None
            if not self.viewers and self._may_wait(shared.frame):
                copy = SharedFrame(shared.frame.copy())
                self._better = _Candidate(copy, objects, outlines, is_snapshot, is_late=True)
                return
        else:
            self._draw_better()
            if not self.viewers or self._busy:
                return
        candidate = _Candidate(shared.keep(), objects, outlines, is_snapshot)
        if self._busy:
            # A better snapshot must not be lost; a worse one that waits need not be drawn.
            if self._waiting is not None:
                self._waiting.shared.release()
            self._waiting = candidate
            return
        self._begin(candidate)

    async def snapshot(self) -> bytes | None:
        """The snapshot of this epoch as it is now, as JPEG."""
        while self._better is not None or (self._drawn is None and self._busy):
            if self._better is not None and not self._busy:
                self._begin(self._better)
            await self._idle()
        return self._drawn

    async def keep_masked(self, masks: int) -> None:
        """Of frames with privacy masks of an earlier number nothing is shown or kept from here on."""
        if masks <= self._masks:
            return
        self._masks = masks
        if self._waiting is not None:
            self._waiting.shared.release()
            self._waiting = None
        self._better = None
        await self._idle()
        self._best, self._drawn, self._unsaved = _NONE, None, None
        self._due = self._save_due = self._clock.monotonic()
        self.viewers.forget()
        try:
            await self._threads.call(self._threads.store.delete, [self._key])
        except ArchiveError as error:
            _LOGGER.warning("the archive does not drop a snapshot from before a change of masks: %s", error)

    async def finish(self) -> None:
        """Draw and store what is due, then send the viewers home."""
        await self._idle()
        await self.snapshot()
        await self._save()
        self.viewers.close()

    async def _idle(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def _may_wait(self, frame: Frame) -> bool:
        """Whether a better snapshot is not yet drawn: of the first seconds of a file nearly each frame would be one."""
        return not self.live and frame.picture is None and self._clock.monotonic() < self._due

    def _draw_better(self) -> None:
        if self._better is not None and not self._busy and self._clock.monotonic() >= self._due:
            self._begin(self._better)

    def _begin(self, candidate: _Candidate) -> None:
        if candidate.is_snapshot:
            self._better = None
            self._due = self._clock.monotonic() + SNAPSHOT_SECONDS
        self._task = asyncio.create_task(self._work(candidate), name=f"picture {self._key}")

    def _is_snapshot(self, objects: Sequence[FoundObject]) -> bool:
        if self.live:
            now = self._clock.monotonic()
            due = now >= self._due
            self._due = now + SNAPSHOT_SECONDS if due else self._due
            return due
        found = (sum(1 for one in objects if one.track_id), len(objects))
        better = found > self._best
        self._best = max(self._best, found)
        return better

    async def _work(self, candidate: _Candidate) -> None:
        following: _Candidate | None = candidate
        while following is not None:
            await self._draw(following)
            if self._waiting is None and self._clock.monotonic() >= self._save_due:
                await self._save()
            # Last of all: what came while the picture was saved would otherwise hold its frame until another one comes.
            following, self._waiting = self._waiting, None

    async def _draw(self, candidate: _Candidate) -> None:
        loop = asyncio.get_running_loop()
        try:
            picture = await loop.run_in_executor(self._executor, _render, candidate)
        finally:
            candidate.shared.release()
        if not candidate.is_late:
            self.viewers.show(picture)
        if candidate.is_snapshot:
            self._drawn = self._unsaved = picture

    async def _save(self) -> None:
        picture, self._unsaved = self._unsaved, None
        if picture is None:
            return
        self._save_due = self._clock.monotonic() + SNAPSHOT_SECONDS
        try:
            await self._threads.call(self._threads.store.replace, self._key, picture)
        except ArchiveError as error:
            self._unsaved = self._unsaved or picture
            _LOGGER.warning("the archive does not take a snapshot: %s", error)


def _render(candidate: _Candidate) -> bytes:
    frame, marks = candidate.shared.frame, [one.mark() for one in candidate.objects]
    # What is drawn is drawn in the processor's memory.
    plain = None if marks or candidate.outlines else frame.jpeg((0, 0, frame.width, frame.height))
    return plain or encode_jpeg(
        annotate(frame.planes, marks, full_range=frame.full_range, matrix=frame.matrix, outlines=candidate.outlines)
    )
