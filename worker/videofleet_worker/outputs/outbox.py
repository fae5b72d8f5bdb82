"""The letters of one log, from the segment that they lie beside until every receiver has them."""

import asyncio
import bisect
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from videofleet_archive.extent import segment_key
from videofleet_archive.outbox import (
    Batch,
    Cursor,
    drop_batches,
    read_batch,
    read_cursor,
    store_batch,
    stored_batches,
    write_cursor,
)
from videofleet_archive.shots import shot_key
from videofleet_archive.view import LogView
from videofleet_worker.outputs.frames import StoredFrames
from videofleet_worker.outputs.letters import Letter

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_BATCHES: Final = 50_000
"""Most that is kept for a receiver; above that the oldest is given up."""
_KEPT_BYTES: Final = 512 * 1024
"""Of the newest letters, so that they need not be read again."""

Announce = Callable[[], Awaitable[None]]
"""Returns when it is durable that receivers are to be told something. Raises ArchiveError."""
Settle = Callable[[set[int]], Awaitable[None]]
"""Returns when the pictures of these tracks are stored, or never will be."""


class Outbox:
    """Keeps letters in the archive and hands them out in order. See Notes of the log's writer."""

    def __init__(
        self,
        view: LogView,
        settle: Settle | None = None,
        frames: StoredFrames | None = None,
        announce: Announce | None = None,
    ) -> None:
        """`settle`: without it all pictures are stored already. `frames`: where somebody else stores them.
        `announce`: without it nobody wants to know."""
        self._view = view
        self._settle = settle
        self._frames = frames or StoredFrames(view.threads, view.prefix)
        # By batch: the tracks whose shots go with their frames.
        self._framed: dict[int, list[int]] = {}
        self._announce = announce
        self._batches: list[Batch] = []
        # Their sizes, each with all that came before it.
        self._sums: list[int] = []
        self._recent: OrderedDict[int, tuple[int, list[Letter]]] = OrderedDict()
        self._recent_bytes = 0
        self._positions: dict[str, int] = {}
        self._changed = asyncio.Event()

    # Writing

    async def announce(self) -> None:
        """Before receivers are to be told anything. May be called again. Raises ArchiveError."""
        if self._announce is not None:
            await self._announce()

    async def open(self) -> None:
        """Learn what earlier epochs have left. Raises ArchiveError."""
        store = self._view.threads.store
        left = await self._view.threads.call(stored_batches, store, self._view.prefix, self._view.extent)
        self._batches, self._sums = [], []
        for batch in left:
            self._append(batch)
        self._wake()

    def _append(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._sums.append(batch.size + (self._sums[-1] if self._sums else 0))

    async def store(self, offset: int, notes: bytes) -> None:
        """See Notes. The pictures that letters are about come first."""
        await self.announce()
        pictured = {letter.track_id for letter in map(Letter.of, notes.splitlines()) if letter.track_id is not None}
        if pictured and self._settle is not None:
            await self._settle(pictured)
        await self._view.threads.call(store_batch, self._view.threads.store, self._view.prefix, offset, notes)

    def sealed(self, offset: int, notes: bytes) -> None:
        """See Notes."""
        self._append(Batch(offset, len(notes)))
        self._keep(Batch(offset, len(notes)), [Letter.of(line) for line in notes.splitlines()])
        self._wake()

    # Reading

    @property
    def end(self) -> Cursor:
        """Behind all letters."""
        return Cursor(offset=self._batches[-1].offset + 1) if self._batches else Cursor(offset=self._view.extent.end)

    def behind(self, cursor: Cursor) -> list[Batch]:
        """The batches that a receiver does not have whole."""
        return self._batches[self._place(cursor.offset) :]

    async def next(self, cursor: Cursor) -> Batch:
        """The next batch that a receiver at the cursor does not have whole, once there is one."""
        while True:
            place = self._place(cursor.offset)
            if place < len(self._batches):
                return self._batches[place]
            await self._changed.wait()

    async def letters(self, batch: Batch) -> list[Letter]:
        """What is in a batch; nothing where it has gone meanwhile. Raises ArchiveError."""
        kept = self._recent.get(batch.offset)
        if kept is not None:
            return kept[1]
        lines = await self._view.threads.call(read_batch, self._view.threads.store, self._view.prefix, batch.offset)
        letters = [Letter.of(line) for line in lines or ()]
        self._keep(batch, letters)
        return letters

    def known(self, batch: Batch) -> list[Letter] | None:
        """What is in a batch, where that is at hand."""
        kept = self._recent.get(batch.offset)
        return None if kept is None else kept[1]

    def is_caught_up(self, cursor: Cursor) -> bool:
        """Whether a receiver has all there is."""
        return self._place(cursor.offset) == len(self._batches)

    def is_too_long(self, cursor: Cursor) -> bool:
        """Whether more waits for a receiver than is kept."""
        place = self._place(cursor.offset)
        if place == len(self._batches):
            return False
        waiting = self._sums[-1] - self._sums[place] + self._batches[place].size
        return len(self._batches) - place > MAX_BATCHES or waiting > MAX_BYTES

    async def picture(self, track_id: int) -> bytes | None:
        """The best shot of a track; None where it has gone. Raises ArchiveError."""
        return await self._view.threads.call(self._view.threads.store.read, shot_key(self._view.prefix, track_id))

    async def frame(self, letter: Letter) -> bytes | None:
        """The frame that a letter's shot comes from; None where there is none. Raises ArchiveError."""
        return await self._frames.read(letter.track_id) if letter.framed and letter.track_id is not None else None

    async def is_anothers(self) -> bool:
        """Whether somebody else goes on with the log behind what this process knows of it. Raises ArchiveError."""
        head = segment_key(self._view.prefix, self._view.extent.end)
        return await self._view.threads.call(self._view.threads.store.read_range, head, 0, 1) is not None

    # Receivers

    async def cursor(self, receiver: str) -> Cursor | None:
        """How far a receiver has come. Raises ArchiveError."""
        return await self._view.threads.call(read_cursor, self._view.threads.store, self._view.prefix, receiver)

    def reached(self, receiver: str, cursor: Cursor) -> None:
        """A receiver has come so far."""
        self._positions[receiver] = cursor.offset

    async def note(self, receiver: str, cursor: Cursor) -> None:
        """Have it outlive this process how far a receiver has come, and drop what everybody has. Raises
        ArchiveError."""
        call, store, prefix = self._view.threads.call, self._view.threads.store, self._view.prefix
        await call(write_cursor, store, prefix, receiver, cursor)
        lowest = min(self._positions.values(), default=0)
        place = self._place(lowest)
        done = [batch.offset for batch in self._batches[:place]]
        if done:
            del self._batches[:place], self._sums[:place]
            framed = [number for offset in done for number in self._framed.pop(offset, ())]
            for offset in done:
                self._forget(offset)
            # Before their letters: who finds no letters does not look for frames.
            await self._frames.drop(framed)
            await call(drop_batches, store, prefix, done)

    def left(self, receiver: str) -> None:
        """Nobody waits for this receiver any more."""
        self._positions.pop(receiver, None)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _place(self, offset: int) -> int:
        return bisect.bisect_left(self._batches, offset, key=lambda batch: batch.offset)

    def _keep(self, batch: Batch, letters: list[Letter]) -> None:
        self._forget(batch.offset)
        self._recent[batch.offset] = batch.size, letters
        if framed := [one.track_id for one in letters if one.framed and one.track_id is not None]:
            self._framed[batch.offset] = framed
        self._recent_bytes += batch.size
        while self._recent_bytes > _KEPT_BYTES and len(self._recent) > 1:
            self._forget(next(iter(self._recent)))

    def _forget(self, offset: int) -> None:
        size, _ = self._recent.pop(offset, (0, []))
        self._recent_bytes -= size
