"""What a writer does for its log besides writing: merge old segments, delete what was merged, drop what is too old."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import replace
from typing import Final

from videofleet_archive.errors import ArchiveCorruptError
from videofleet_archive.extent import Segment
from videofleet_archive.merging import DELETE_SECONDS, PART_BYTES, Sizes, drop, due, left_over, merge
from videofleet_archive.store import Store
from videofleet_archive.sweeping import write_retention
from videofleet_archive.tracks import drop_tracks, file_tracks, hour_of
from videofleet_archive.view import LogView

_LOGGER: Final = logging.getLogger(__name__)
_PARTS_KEPT: Final = 4
"""So many parts at least make up what is kept of a log."""


def sizes_for(keep_bytes: int | None) -> Sizes:
    """Parts small enough that what is kept can be cut about where it should be."""
    return Sizes(part_bytes=PART_BYTES if keep_bytes is None else min(PART_BYTES, keep_bytes // _PARTS_KEPT))


class Tending:
    """The upkeep of one log that this process writes. `drop` and `merge` may be called beside each other."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self._doomed: deque[Segment] = deque()
        self._dropping = asyncio.Lock()
        # What an epoch before has merged may have left its segments.
        self._clean_at: deque[float] = deque([time.time() + DELETE_SECONDS])
        self._gave_up = False
        self._filed_to = 0
        self._files = True
        # An epoch before may have left other word for how long results are kept.
        self._told: float | None = None
        self._has_told = False

    async def drop(self, keep_bytes: int | None, keep_seconds: float | None, now: float) -> None:
        """Drop the oldest pieces above this size, and those older than this. Raises ArchiveError; may then be called
        again."""
        async with self._dropping:
            if not self._has_told or keep_seconds != self._told:
                await self._view.threads.call(
                    write_retention, self._view.threads.store, self._view.prefix, keep_seconds
                )
                self._told, self._has_told = keep_seconds, True
            extent = self._view.extent
            # Readers learn the new horizon first, so that none of them meets a hole.
            if keep_bytes is not None:
                self._doomed += extent.drop_above(keep_bytes)
            if keep_seconds is not None:
                self._doomed += extent.drop_before(now - keep_seconds)
            if self._doomed:
                threads = self._view.threads
                await threads.call(drop, threads.store, self._view.prefix, tuple(self._doomed))
                self._doomed.clear()

    async def merge(self, sizes: Sizes, now: float) -> None:
        """Merge what is due, and delete the segments of parts that are old enough. Raises ArchiveError."""
        if self._gave_up:
            return
        try:
            while segments := due(self._view.extent, now, sizes, finished=False):
                threads = self._view.threads
                part = await threads.tend(merge, threads.store, self._view.prefix, segments)
                self._view.extent.merge(replace(part, modified=now))
                self._clean_at.append(now + sizes.delete_seconds)
            while self._clean_at and self._clean_at[0] <= now:
                await self._clean(now - sizes.delete_seconds)
                self._clean_at.popleft()
        except ArchiveCorruptError as error:
            # The log goes on as it is: in segments.
            self._gave_up = True
            _LOGGER.error("segments are not merged any more: %s", error)

    async def file(self, log_time: float, keep_seconds: float | None, now: float) -> None:
        """File the tracks of hours that are over, when the log's time has come to the next one; drop files that are
        older than this. Raises ArchiveError; may then be called again."""
        if not self._files or hour_of(log_time) <= self._filed_to:
            return
        threads, prefix = self._view.threads, self._view.prefix
        try:
            self._filed_to = await threads.tend(file_tracks, threads.store, prefix)
            if keep_seconds is not None:
                await threads.call(drop_tracks, threads.store, prefix, now - keep_seconds)
        except ArchiveCorruptError as error:
            self._files = False
            _LOGGER.error("tracks are not filed any more: %s", error)

    async def _clean(self, before: float) -> None:
        threads = self._view.threads
        await threads.tend(_delete_left_over, threads.store, self._view.prefix, before)


def _delete_left_over(store: Store, prefix: str, before: float) -> None:
    store.delete(left_over(store, prefix, before))
