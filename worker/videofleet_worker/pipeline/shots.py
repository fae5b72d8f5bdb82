"""The best shot of each track of an analytics, from the frame that shows it to the archive."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Final

from videofleet_api.results import StreamInfo
from videofleet_archive.errors import ArchiveError
from videofleet_archive.shots import shot_key, stored_shots
from videofleet_archive.threads import StoreThreads
from videofleet_worker.outputs.frames import RawFrames, StoredFrames
from videofleet_worker.outputs.shots import (
    MOST,
    Area,
    BestShots,
    Candidate,
    Moment,
    Picture,
    Shot,
    area_around,
    cut_out,
    quality,
)
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.pictures import SharedFrame

_LOGGER: Final = logging.getLogger(__name__)
_RETRY_SECONDS: Final = 2.0
_SMALL: Final = 65_536
"""Pixels that are copied at once. More are left to a thread, which compresses them, so that they take little memory."""
_Work = tuple[Candidate, Area]
"""A track, and what is cut out for it."""


class Shots:
    """Cuts pictures out of frames while they are at hand, and stores the best one of a track when the track ends.

    Small pictures are copied at once and compressed when they are needed. Of those that take longer at most one frame's
    are being cut at a time: for a recorded source the next one waits for that; of a live one it is passed over, and the
    object gets its picture from a later frame.
    """

    def __init__(
        self,
        threads: StoreThreads,
        prefix: str,
        executor: Executor,
    ) -> None:
        self.on_end: Callable[[Shot], None] = lambda shot: None
        """Gets the shot of every track that has ended."""
        self.wants_frames: Callable[[], bool] = lambda: False
        """Whether somebody gets the whole frames, too."""
        self.frames = StoredFrames(threads, prefix)
        self.live = False
        self.keep: int | None = None
        """How many stay stored, None for all."""
        self.lost = 0
        """Shots that the archive did not take."""
        self._threads = threads
        self._prefix = prefix
        self._executor = executor
        self._best = BestShots()
        self._raw = RawFrames()
        self._masks = 0
        self._cutting: asyncio.Task[None] | None = None
        self._waiting: deque[Shot] = deque()
        self._storing: asyncio.Task[None] | None = None
        self._stored: deque[int] | None = None
        self._gave_up = False
        self._went_on = asyncio.Event()

    @property
    def tracks(self) -> list[Shot]:
        """The shots of the tracks that are there now."""
        return self._best.all()

    def of(self, track_id: int) -> Shot | None:
        """The best shot so far of a track that is there."""
        return self._best.of(track_id)

    def has(self, track_id: int) -> bool:
        """Whether there is a picture of a track, as far as is known here: all while it is there, later the newest."""
        waiting = any(one.track_id == track_id for one in self._waiting)
        return self.of(track_id) is not None or waiting or track_id in (self._stored or ())

    async def offer(
        self, shared: SharedFrame, objects: Sequence[FoundObject], info: StreamInfo, lost_seconds: float
    ) -> None:
        """A frame was analysed. Keeps it as long as it is needed. A track ends when unseen for `lost_seconds`."""
        size = shared.frame.width, shared.frame.height
        found = [_candidate(one, size) for one in objects if one.track_id]
        if self._cutting is not None and not self._cutting.done() and not self.live:
            # What is wanted now depends on what it gives.
            await asyncio.wait([self._cutting])
        wanted = self._best.see(found, info.pts)
        if wanted and (self._cutting is None or self._cutting.done()):
            moment = Moment(info.frame_index, info.pts, info.capture_time)
            work = [(one, area_around(one.box, size)) for one in wanted]
            framed = self.wants_frames()
            if shared.frame.picture is None and not framed and _are_small(work):
                self._keep(_shots(shared, work, moment))
            else:
                cutting = self._cut(shared.keep(), work, moment, framed=framed)
                self._cutting = asyncio.create_task(cutting, name=f"shots {self._prefix}")
        for shot in self._best.ended(info.pts, lost_seconds):
            self._end(shot)

    async def keep_masked(self, masks: int) -> None:
        """No picture of a frame with privacy masks of an earlier number is kept from here on, but those of tracks that
        have ended."""
        if masks <= self._masks:
            return
        self._masks = masks
        if self._cutting is not None:
            await asyncio.wait([self._cutting])
        self._best.forget_pictures()

    async def read(self, track_id: int) -> bytes | None:
        """The picture of a track, None where there is none. Raises ArchiveError."""
        shot = self._best.of(track_id) or next((one for one in self._waiting if one.track_id == track_id), None)
        if shot is not None and shot.picture is not None:
            return await asyncio.get_running_loop().run_in_executor(self._executor, shot.picture.jpeg)
        return await self._threads.call(self._threads.store.read, shot_key(self._prefix, track_id))

    async def numbers(self) -> list[int]:
        """The tracks that have a shot, in memory or in the archive. Raises ArchiveError."""
        stored = await self._threads.call(stored_shots, self._threads.store, self._prefix)
        return sorted({*stored, *(one.track_id for one in (*self.tracks, *self._waiting))})

    async def settled(self, tracks: set[int]) -> None:
        """Wait until the shots of these tracks, which have ended, are stored, or are given up."""
        while not self._gave_up and any(shot.track_id in tracks for shot in self._waiting):
            await self._went_on.wait()

    async def end(self) -> None:
        """All tracks have ended: store what there is. What the archive does not take now is tried again beside."""
        if self._cutting is not None:
            await asyncio.wait([self._cutting])
        for shot in self._best.end():
            self._end(shot)
        if not await self._store_now():
            self._begin_storing()

    async def finish(self) -> None:
        """Store what there is; what the archive does not take now is lost."""
        await self.end()
        if not await self._store_now():
            self.lost += len(self._waiting)
            self._give_up()
            _LOGGER.warning("the archive did not take %d best shots", len(self._waiting))

    def abandon(self) -> None:
        """End at once; what is not stored is lost."""
        if self._storing is not None:
            self._storing.cancel()
        self._give_up()

    def _give_up(self) -> None:
        self._gave_up = True
        self._go_on()

    def _go_on(self) -> None:
        self._went_on.set()
        self._went_on = asyncio.Event()

    async def _cut(self, shared: SharedFrame, work: Sequence[_Work], moment: Moment, *, framed: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            shots = await loop.run_in_executor(self._executor, _compressed, shared, work, moment)
            if framed:
                frame = await loop.run_in_executor(self._executor, self._whole, shared)
                shots = [replace(shot, frame=frame, framed=True) for shot in shots]
        finally:
            shared.release()
        self._keep(shots)

    def _whole(self, shared: SharedFrame) -> Picture:
        frame = _picture(shared, (0, 0, shared.frame.width, shared.frame.height))
        self._raw.add(frame)
        return frame

    def _keep(self, shots: Sequence[Shot]) -> None:
        for shot in shots:
            for surplus in self._best.keep(shot):
                self._store(surplus)

    def _end(self, shot: Shot) -> None:
        self.on_end(shot)
        if shot.picture is not None:
            self._store(shot)

    def _store(self, shot: Shot) -> None:
        if len(self._waiting) >= MOST:
            self._waiting.popleft()
            self.lost += 1
            self._go_on()
        self._waiting.append(shot)
        if self._storing is None or self._storing.done():
            self._begin_storing()

    def _begin_storing(self) -> None:
        self._storing = asyncio.create_task(self._keep_storing(), name=f"store shots {self._prefix}")

    async def _store_now(self) -> bool:
        """Whether everything that waits could be stored; nothing goes on beside."""
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.wait([self._storing])
        return await self._store_waiting()

    async def _keep_storing(self) -> None:
        while True:
            if await self._store_waiting():
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _store_waiting(self) -> bool:
        """Whether everything that waits could be stored."""
        try:
            while self._waiting:
                shot = self._waiting[0]
                assert shot.picture is not None, "only pictures wait"
                await self._threads.call(self._replace, shot_key(self._prefix, shot.track_id), shot.picture)
                if shot.frame is not None:
                    await self.frames.keep(shot.track_id, shot.frame)
                # Meanwhile a full queue may have dropped it.
                if self._waiting and self._waiting[0] is shot:
                    self._waiting.popleft()
                self._go_on()
                await self._drop_oldest(shot.track_id)
        except ArchiveError as error:
            _LOGGER.warning("the archive does not take a best shot: %s", error)
            return False
        return True

    def _replace(self, key: str, picture: Picture) -> None:
        self._threads.store.replace(key, picture.jpeg())

    async def _drop_oldest(self, newest: int) -> None:
        if self.keep is None:
            return
        if self._stored is None:
            self._stored = deque(await self._threads.call(stored_shots, self._threads.store, self._prefix))
        elif newest not in self._stored:
            self._stored.append(newest)
        while len(self._stored) > self.keep:
            await self._threads.call(self._threads.store.delete, [shot_key(self._prefix, self._stored[0])])
            self._stored.popleft()


def _candidate(one: FoundObject, size: tuple[int, int]) -> Candidate:
    return Candidate(one.track_id, one.label, one.confidence, one.box, quality(one.box, one.confidence, size))


def _pixels(work: _Work) -> int:
    left, top, right, bottom = work[1]
    return (right - left) * (bottom - top)


def _are_small(work: Sequence[_Work]) -> bool:
    return sum(map(_pixels, work)) <= _SMALL


def _compressed(shared: SharedFrame, work: Sequence[_Work], moment: Moment) -> list[Shot]:
    shots = _shots(shared, work, moment)
    for shot in () if _are_small(work) else shots:
        assert shot.picture is not None, "it was cut out just now"
        shot.picture.jpeg()
    return shots


def _shots(shared: SharedFrame, work: Sequence[_Work], moment: Moment) -> list[Shot]:
    size = shared.frame.width, shared.frame.height
    return [
        Shot(one.track_id, one.label, one.confidence, one.quality, one.box, area, size, moment, _picture(shared, area))
        for one, area in work
    ]


def _picture(shared: SharedFrame, area: Area) -> Picture:
    """A part of a frame: compressed where its device does that, else a copy."""
    frame = shared.frame
    done = frame.jpeg(area)
    if done is not None:
        return Picture(jpeg=done)
    return cut_out(frame.planes, area, full_range=frame.full_range, matrix=frame.matrix)
