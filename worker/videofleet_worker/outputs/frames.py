"""The whole frames that best shots come from, which go to the router with them."""

import weakref
from collections.abc import Collection
from typing import Final

from videofleet_archive.shots import frame_key, stored_frames
from videofleet_archive.threads import StoreThreads
from videofleet_worker.outputs.shots import Picture

RAW_BYTES: Final = 32 * 1024 * 1024
MOST_BYTES: Final = 256 * 1024 * 1024
"""Of an analytics in the archive, where more than that waits for the router: the oldest go."""


class RawFrames:
    """Frames of shots that are kept in memory: they are compressed when they are stored, and at the earliest those that
    have been there longest, when all together take more than `most` bytes. For one thread at a time."""

    def __init__(self, most: int = RAW_BYTES) -> None:
        self._most = most
        self._known: list[weakref.ref[Picture]] = []

    def add(self, frame: Picture) -> None:
        """One more. Those of which a better shot has come meanwhile are gone by themselves."""
        there = [one for one in (known() for known in self._known) if one is not None and one.raw_bytes] + [frame]
        while there and sum(one.raw_bytes for one in there) > self._most:
            there.pop(0).jpeg()
        self._known = [weakref.ref(one) for one in there]


class StoredFrames:
    """The frames of one log that wait in the archive for the router, each under the track whose shot it belongs to."""

    def __init__(self, threads: StoreThreads, prefix: str, most: int = MOST_BYTES) -> None:
        self.most = most
        self._threads = threads
        self._prefix = prefix
        self._sizes: dict[int, int] | None = None

    async def keep(self, track_id: int, frame: Picture) -> None:
        """Store one; above `most` bytes the oldest go. Raises ArchiveError."""
        size = await self._threads.call(self._store, track_id, frame)
        sizes = self._sizes
        if sizes is None:
            sizes = self._sizes = await self._threads.call(stored_frames, self._threads.store, self._prefix)
        # Again at the end: it is the newest.
        sizes.pop(track_id, None)
        sizes[track_id] = size
        oldest, total = [], sum(sizes.values())
        for number, each in sizes.items():
            if total <= self.most:
                break
            oldest.append(number)
            total -= each
        await self.drop(oldest)

    async def read(self, track_id: int) -> bytes | None:
        """The frame of a track's shot; None where it has gone. Raises ArchiveError."""
        return await self._threads.call(self._threads.store.read, frame_key(self._prefix, track_id))

    async def drop(self, tracks: Collection[int]) -> None:
        """Nobody waits for the frames of these. Raises ArchiveError."""
        if not tracks:
            return
        await self._threads.call(self._threads.store.delete, [frame_key(self._prefix, number) for number in tracks])
        for number in tracks:
            (self._sizes or {}).pop(number, None)

    def _store(self, track_id: int, frame: Picture) -> int:
        jpeg = frame.jpeg()
        self._threads.store.replace(frame_key(self._prefix, track_id), jpeg)
        return len(jpeg)
