"""The writer of one log: collects events, stores them as segments, lets readers see only what is stored."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from videofleet_api.outputs import ArchiveDetail
from videofleet_api.results import LineCount, Sidecar, TrackRecord, ZoneCount
from videofleet_archive import log
from videofleet_archive.documents import sidecar_document
from videofleet_archive.errors import ArchiveError
from videofleet_archive.outbox import Notes
from videofleet_archive.storing import must_be_end, store_segment
from videofleet_archive.tending import Tending, sizes_for
from videofleet_archive.view import LogView

_LOGGER: Final = logging.getLogger(__name__)
_RETRY_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
_TEND_SECONDS: Final = 60.0
_NOTE_SECONDS: Final = 0.2
"""For which events with a note are collected at most: somebody waits to be told."""
_FILING_SECONDS: Final = 300.0
"""In which the tracks of an hour are filed that is over."""
_DOUBT_SECONDS: Final = 240.0
"""Less than segments stay under their keys (merging.py)."""


def boot_seconds() -> float:
    """Seconds that also pass while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class SealPolicy:
    """When collected events become a segment, and what happens with old ones."""

    seconds: float
    """At the latest after so long, while somebody reads along."""
    unattended_seconds: float | None = None
    """And while nobody does; None: no longer."""
    segment_bytes: int = 256 * 1024
    """And as soon as so much is collected; also about the size of a segment."""
    spool_bytes: int = 64 * 1024 * 1024
    """Most that is collected while the store does not take it."""
    spool_seconds: float = 600.0
    """And for so long, counted for one segment, whether the store refuses it or does not answer."""
    wait_when_full: bool = True
    """Full spool: True waits, False drops results and counts them."""
    keep_bytes: int | None = None
    """Drop the oldest segments above this size; None keeps all."""
    keep_seconds: float | None = None
    """And those that are older; None keeps all. What looks after the archive later does the same."""
    merges: bool = True
    """Whether old segments become parts."""
    detail: ArchiveDetail = ArchiveDetail.FRAMES
    """What the events tell; by TRACKS those of a live source that have ended get a file an hour."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the stream was after an event; the last one of a segment becomes its sidecar."""

    frame_index: int
    pts: float
    highest_track_id: int
    processed_frames: int
    elapsed_ms: int
    zones: tuple[ZoneCount, ...] = ()
    lines: tuple[LineCount, ...] = ()
    arrival: float | None = None
    model: str = ""
    unended: Callable[[], tuple[dict[str, Any], ...]] = tuple
    """See Sidecar; asked of the last event of a segment."""
    tracks: tuple[TrackRecord, ...] = ()
    capture_time: float = 0.0


class Counters(Protocol):
    """Where a writer reports what it did."""

    def sealed(self, size: int) -> None:
        """So many bytes are durable now."""

    def store_failed(self) -> None:
        """A call of the store failed."""

    def lost(self) -> None:
        """One event was dropped because the spool was full."""


@dataclass(slots=True)
class _Event:
    data: bytes
    mark: Mark | None
    notes: bytes = b""


class LogWriter:
    """Appends to a log that `acquire` has made this epoch's own. Use `append`, then `close`.

    With an event something may be noted, for `notes`: it is durable before the event is.
    """

    def __init__(
        self,
        view: LogView,
        epoch: int,
        policy: SealPolicy,
        counters: Counters,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        """`clock`: seconds that never go back."""
        self.notes: Notes | None = None
        """Gets what is noted; without it that is lost."""
        self._view = view
        self._epoch = epoch
        self._policy = policy
        self._counters = counters
        self._collected: deque[_Event] = deque()
        self._bytes = 0
        self._gap = 0
        self._noted_at: float | None = None
        self._tail = view.extent.end
        self._closing = False
        self._over = False
        self._clock = clock
        # When storing the segment that is being stored was begun.
        self._storing_since: float | None = None
        self._sealed_at = clock()
        # When the last sealed frame of a live source was captured; 0 for any other.
        self._live_time = 0.0
        self._tending = Tending(view)
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Condition()
        view.on_reader = self._hurry.set
        self._task = asyncio.create_task(self._run(), name=f"seal {view.prefix}")
        self._upkeep = self._begin_upkeep() if policy.merges else []

    @property
    def view(self) -> LogView:
        """What readers see."""
        return self._view

    def use(self, policy: SealPolicy) -> None:
        """Seal by another policy from now on."""
        self._policy = policy
        # By the one before it might be waited much longer.
        self._hurry.set()

    async def append(self, data: bytes, mark: Mark) -> None:
        """Add an event with `data`, one line. Raises FencedError once another writer owns the log."""
        await self._make_room(len(data))
        if self.discards:
            self.discard()
            return
        self._tell_gap()
        self._add(log.event(self._tail, data), mark)

    @property
    def discards(self) -> bool:
        """Whether the next event would be dropped: who has not made it yet need not make it."""
        return not self._policy.wait_when_full and self._is_full(1) and not self._task.done()

    def discard(self) -> None:
        """An event that is dropped; the next one that is not is preceded by a comment with their number."""
        self._gap += 1
        self._counters.lost()

    def note(self, notes: bytes) -> None:
        """Note something, whole lines, with the event that was added last, or what is stored next."""
        if not notes:
            return
        if not self._collected:
            self._add(log.note_comment(), None)
        self._collected[-1].notes += notes
        if self._noted_at is None:
            loop = asyncio.get_running_loop()
            self._noted_at = loop.time()
            loop.call_later(_NOTE_SECONDS, self._hurry.set)

    async def flush(self) -> None:
        """Store what was collected by now. Raises FencedError when another writer owns the log."""
        self._noted_at = 0.0
        self._hurry.set()
        async with self._room:
            await self._room.wait_for(lambda: self._over or not self._bytes)
        if self._over:
            await asyncio.wait([self._task])
        self._raise_failure()

    async def finish(
        self, terminal: bytes, mark: Mark, error: tuple[str, str] | None = None, notes: bytes = b""
    ) -> None:
        """Add the terminal chunk and `[DONE]` in one segment, after an error its comment; then close."""
        self._raise_failure()
        self._tell_gap()
        comment = log.error_comment(*error) if error else b""
        last = log.event(self._tail + len(comment), terminal)
        done = log.event(self._tail + len(comment) + len(last), log.DONE)
        self._add(comment + last + done, mark)
        self.note(notes)
        await self.close()

    async def close(self, ends: bytes = b"") -> None:
        """Store what is collected and end. Raises FencedError when another writer owns the log.

        `ends`: notes by which receivers learn the end of every track.
        """
        if not self._task.done():
            self._tell_gap()
        if ends:
            self._raise_failure()
            self._add(log.ended_comment(), None)
            self.note(ends)
        self._closing = True
        self._wake.set()
        self._hurry.set()
        await asyncio.shield(self._task)
        self._raise_failure()

    async def abandon(self) -> None:
        """End without storing what is collected."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._view.close()

    def _raise_failure(self) -> None:
        if self._task.done():
            self._task.result()

    def _tell_gap(self) -> None:
        if self._gap:
            self._add(log.gap_comment(self._gap), None)
            self._gap = 0

    def _add(self, data: bytes, mark: Mark | None) -> None:
        self._collected.append(_Event(data, mark))
        self._tail += len(data)
        self._bytes += len(data)
        self._wake.set()
        if self._bytes >= self._policy.segment_bytes:
            self._hurry.set()

    async def _make_room(self, size: int) -> None:
        self._raise_failure()
        if not self._policy.wait_when_full:
            return
        async with self._room:
            await self._room.wait_for(lambda: self._over or not self._is_full(size))
        if self._over:
            # Its last step is behind it; only its outcome may still be on the way.
            await asyncio.wait([self._task])
        self._raise_failure()

    def _is_full(self, size: int) -> bool:
        """Whether the spool can hold no event of this size more."""
        if self._bytes + size > self._policy.spool_bytes:
            return True
        since = self._storing_since
        return since is not None and self._clock() - since > self._policy.spool_seconds

    async def _run(self) -> None:
        try:
            while await self._something_to_seal():
                await self._seal(self._take())
        finally:
            self._over = True
            for task in self._upkeep:
                task.cancel()
            await self._view.close()
            async with self._room:
                self._room.notify_all()

    async def _something_to_seal(self) -> bool:
        """Wait until a segment is due; False once closed and empty."""
        await self._wake.wait()
        if self._bytes < self._policy.segment_bytes and not self._closing:
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._patience())
        return bool(self._collected)

    def _patience(self) -> float:
        """Seconds for which events are collected."""
        longer = self._policy.unattended_seconds
        usual = self._policy.seconds if longer is None or self._view.readers else longer
        if self._noted_at is None:
            return usual
        return max(0.0, min(usual, self._noted_at + _NOTE_SECONDS - asyncio.get_running_loop().time()))

    def _take(self) -> list[_Event]:
        """The oldest events, about one segment of them."""
        taken: list[_Event] = []
        size = 0
        while self._collected and size < self._policy.segment_bytes:
            taken.append(self._collected.popleft())
            size += len(taken[-1].data)
        if not self._collected:
            self._noted_at = None
            if not self._closing:
                self._wake.clear()
        return taken

    async def _seal(self, events: list[_Event]) -> None:
        data = b"".join(one.data for one in events)
        notes = b"".join(one.notes for one in events)
        offset = self._view.extent.end
        mark = next((one.mark for one in reversed(events) if one.mark), None)
        sidecar = self._sidecar(mark) if mark else None
        attempt = 0
        self._storing_since = self._clock()
        while not await self._stored(data, sidecar, notes, again=attempt > 0):
            delay = _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]
            attempt += 1
            await asyncio.sleep(delay)
        self._counters.sealed(len(data))
        if mark is not None and mark.arrival is not None:
            self._live_time = max(self._live_time, mark.capture_time)
        await self._view.advance(data)
        if notes and self.notes is not None:
            self.notes.sealed(offset, notes)
        async with self._room:
            self._bytes -= len(data)
            self._storing_since = None
            self._room.notify_all()
        await self._drop_oldest()

    def _sidecar(self, mark: Mark) -> bytes:
        sidecar = Sidecar(
            epoch=self._epoch,
            offset=self._view.extent.end,
            frame_index=mark.frame_index,
            pts=mark.pts,
            highest_track_id=mark.highest_track_id,
            processed_frames=mark.processed_frames,
            elapsed_ms=mark.elapsed_ms,
            zones=mark.zones,
            lines=mark.lines,
            arrival=mark.arrival,
            model=mark.model,
            unended=mark.unended(),
            detail=self._policy.detail,
            tracks=mark.tracks,
        )
        return sidecar_document(sidecar)

    async def _stored(self, data: bytes, sidecar: bytes | None, notes: bytes, *, again: bool) -> bool:
        """Whether the segment is stored; False: try again."""
        view = self._view
        offset, doubtful = view.extent.end, self._clock() - self._sealed_at > _DOUBT_SECONDS
        try:
            store = view.threads.store
            if notes and self.notes is not None:
                await self.notes.store(offset, notes)
            if not await view.threads.call(store_segment, store, view.prefix, offset, data, sidecar, again=again):
                return False
            if doubtful or self._clock() - self._sealed_at > _DOUBT_SECONDS:
                await view.threads.call(must_be_end, store, view.prefix, offset + len(data))
            self._sealed_at = self._clock()
            return True
        except ArchiveError as error:
            self._counters.store_failed()
            _LOGGER.warning("the archive does not take results: %s", error)
            return False

    async def _drop_oldest(self) -> None:
        spared = _FILING_SECONDS if self._policy.detail is ArchiveDetail.TRACKS else 0.0
        try:
            await self._tending.drop(self._policy.keep_bytes, self._policy.keep_seconds, time.time() - spared)
        except ArchiveError as error:
            self._counters.store_failed()
            _LOGGER.warning("the archive does not drop old results: %s", error)

    def _begin_upkeep(self) -> list[asyncio.Task[None]]:
        """Each a task of its own, since the turn to be merged may come late."""
        return [asyncio.create_task(part) for part in (self._retain(), self._tend())]

    async def _retain(self) -> None:
        """Drop old results, also while there is nothing new: they grow old all the same."""
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            await self._drop_oldest()

    async def _tend(self) -> None:
        """File tracks and merge old segments, now and then, while the log is written."""
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            try:
                if self._policy.detail is ArchiveDetail.TRACKS:
                    await self._tending.file(self._live_time, self._policy.keep_seconds, time.time())
                await self._tending.merge(sizes_for(self._policy.keep_bytes), time.time())
            except ArchiveError as error:
                self._counters.store_failed()
                _LOGGER.warning("the archive does not take what is made of old results: %s", error)
