"""What receivers are to be told, beside the log that gave cause for it. Blocking, but for Notes.

`outbox/letters/<offset>` holds the letters of the segment that begins there, a line each. It is written before its
segment, and counts only if that is the segment that was written with it: then whatever the log says has its letters,
and nothing else has. `outbox/cursors/<receiver>` says how far a receiver has come.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import BaseModel, Field, ValidationError

from videofleet_archive import log
from videofleet_archive.extent import Extent, batch_key, batches_folder, offset_of_key, outbox_folder
from videofleet_archive.store import Store

_HEAD_BYTES: Final = 32
"""Enough to know a comment that begins an epoch."""


class Notes(Protocol):
    """Where what is noted with events goes."""

    async def store(self, offset: int, notes: bytes) -> None:
        """Make durable what belongs to the segment that is written at `offset` next. Raises ArchiveError; is then
        called again."""

    def sealed(self, offset: int, notes: bytes) -> None:
        """That segment is in the log."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The letters of one segment: its offset, and how many bytes they are."""

    offset: int
    size: int


class Cursor(BaseModel, frozen=True):
    """How far a receiver has come: it has the letters of all batches before `offset`, and so many of that one."""

    offset: int = Field(0, ge=0)
    count: int = Field(0, ge=0)


def store_batch(store: Store, prefix: str, offset: int, letters: bytes) -> None:
    """Keep the letters of the segment that is to be written at `offset`."""
    # Whoever is overtaken leaves one without a segment; and of two attempts at one segment the letters are the same.
    store.create(batch_key(prefix, offset), letters)


def stored_batches(store: Store, prefix: str, extent: Extent) -> list[Batch]:
    """Those whose segments are in the log of this extent, oldest first; what others have left behind goes."""
    found = [
        Batch(offset, each.size)
        for each in store.listing(batches_folder(prefix))
        if (offset := offset_of_key(each.key)) is not None
    ]
    # What lies behind the log may be about to get its segment.
    within = [batch for batch in found if batch.offset < extent.end]
    stale = {batch.offset for batch in within if not _has_segment(store, prefix, extent, batch.offset)}
    store.delete([batch_key(prefix, offset) for offset in sorted(stale)])
    return [batch for batch in within if batch.offset not in stale]


def read_batch(store: Store, prefix: str, offset: int) -> list[bytes] | None:
    """The letters of a segment; None where they have gone."""
    data = store.read(batch_key(prefix, offset))
    return None if data is None else data.splitlines()


def drop_batches(store: Store, prefix: str, offsets: list[int]) -> None:
    """Forget letters that everybody has."""
    store.delete([batch_key(prefix, offset) for offset in offsets])


def read_cursor(store: Store, prefix: str, receiver: str) -> Cursor | None:
    """How far a receiver has come; None: nothing was ever noted of it."""
    data = store.read(_cursor_key(prefix, receiver))
    if data is None:
        return None
    try:
        return Cursor.model_validate_json(data)
    except ValidationError:
        # Better twice than not at all.
        return Cursor()


def write_cursor(store: Store, prefix: str, receiver: str, cursor: Cursor) -> None:
    """Note how far a receiver has come."""
    store.replace(_cursor_key(prefix, receiver), cursor.model_dump_json().encode())


def _cursor_key(prefix: str, receiver: str) -> str:
    return f"{outbox_folder(prefix)}/cursors/{receiver}"


def _has_segment(store: Store, prefix: str, extent: Extent, offset: int) -> bool:
    """Whether what lies or lay at `offset`, which is before the end of the log, was written with a batch."""
    if offset < extent.start:
        # It was dropped for its age or size.
        return True
    piece = extent.locate(offset)
    begin = offset - piece.offset
    head = store.read_range(piece.key(prefix), begin, min(piece.size, begin + _HEAD_BYTES))
    # The writer that had got as far as its letters was overtaken, and this is where the next one began.
    return head is not None and log.epoch_of(head) is None
