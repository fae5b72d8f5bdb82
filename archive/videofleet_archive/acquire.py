"""How an epoch becomes the owner of a log, and where it goes on. Blocking; runs in a thread."""

import time
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from videofleet_api.results import Chunk, FinishReason, Sidecar, Usage
from videofleet_archive import log
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError, FencedError
from videofleet_archive.extent import (
    Extent,
    Segment,
    chunks_folder,
    offset_of_key,
    parts_folder,
    range_of_key,
    segment_key,
)
from videofleet_archive.store import Store

_ATTEMPTS: Final = 50
_LOOKS: Final = 3
_TAIL_BYTES: Final = 64 * 1024
"""More than the last two events of a log and the comment before them."""


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The last results of earlier epochs: a new one goes on after them."""

    sidecar: Sidecar
    last: Chunk


@dataclass(frozen=True, slots=True)
class Ending:
    """How a finished run ended. `error` is code and message where the reason is an error."""

    reason: FinishReason
    usage: Usage
    error: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A log as it lies in the store. With an `ending` nothing may be written any more."""

    extent: Extent
    ending: Ending | None = None
    resume: ResumePoint | None = None
    newest_epoch: int = 0
    """The epoch that owns it, 0 for none."""


def look(store: Store, prefix: str) -> Found:
    """The log under `prefix`, which may belong to another writer and go on. Raises as `acquire`."""
    extent = scan(store, prefix)
    ending = ending_of(store, prefix, extent)
    if ending is not None:
        return Found(extent, ending)
    resume, newest_epoch = tail(store, prefix, extent)
    return Found(extent, None, resume, newest_epoch)


def acquire(store: Store, prefix: str, epoch: int, owner: str) -> Found:
    """Own the end of the log under `prefix` by creating a comment there; an older writer collides with it and stops.

    Raises FencedError when a later epoch owns the log, ArchiveError when the store fails or other writers keep
    winning, ArchiveCorruptError when the log cannot be understood.
    """
    comment = log.epoch_comment(epoch, owner)
    for _ in range(_ATTEMPTS):
        found = look(store, prefix)
        if found.ending is not None:
            return found
        # An epoch that was given up may still get as far as its first result.
        if found.newest_epoch > epoch:
            raise FencedError(f"epoch {found.newest_epoch} owns {prefix}, and this is epoch {epoch}")
        key = segment_key(prefix, found.extent.end)
        # A lost answer may hide that the first attempt succeeded: then our own bytes lie there.
        if store.create(key, comment) or store.read(key) == comment:
            found.extent.append(len(comment), time.time())
            return found
    raise ArchiveError(f"another writer was faster {_ATTEMPTS} times at the end of {prefix}")


def scan(store: Store, prefix: str) -> Extent:
    """The contiguous pieces that lie in the store, up to the end of the log."""
    runs: list[Extent] = []
    for _ in range(_LOOKS):
        runs = Extent.runs(pieces(store, prefix))
        if len(runs) < 2:
            break
        # A folder that is listed while it changes may leave one out and show a later one.
    # A hole that stays is made by a writer that came back after what lay there was merged or dropped: what is below
    # it does not belong to the log any more.
    return runs[-1] if runs else Extent()


def pieces(store: Store, prefix: str) -> list[Segment]:
    """Every segment and part that lies in the store."""
    # In this order: a segment is deleted long after the part that holds it was created.
    chunks = store.listing(chunks_folder(prefix))
    parts = store.listing(parts_folder(prefix))
    found = [
        Segment(offset, stored.size, modified=stored.modified)
        for stored in chunks
        if (offset := offset_of_key(stored.key)) is not None
    ]
    for stored in parts:
        place = range_of_key(stored.key)
        if place is not None and place[1] - place[0] == stored.size:
            found.append(Segment(place[0], stored.size, part=True, modified=stored.modified))
    return found


def ending_of(store: Store, prefix: str, extent: Extent) -> Ending | None:
    """How the run ended; None while it is not over. Raises ArchiveCorruptError."""
    if not extent.segments:
        return None
    last = extent.segments[-1]
    data = store.read_range(last.key(prefix), max(0, last.size - _TAIL_BYTES), last.size)
    if data is None:
        raise _gone(prefix, last)
    return ending_in(prefix, data)


def ending_in(prefix: str, data: bytes) -> Ending | None:
    """How the run ended by the last bytes of its log; None while it is not over. Raises ArchiveCorruptError."""
    if not log.is_finished(data):
        return None
    documents = list(log.documents(data))
    if not documents:
        raise ArchiveCorruptError(f"the log {prefix} is finished without a terminal chunk")
    terminal = _chunk(prefix, documents[-1])
    if terminal.finish_reason is None or terminal.usage is None:
        raise ArchiveCorruptError(f"the log {prefix} is finished without a terminal chunk")
    return Ending(terminal.finish_reason, terminal.usage, log.error_of(data))


def tail(store: Store, prefix: str, extent: Extent) -> tuple[ResumePoint | None, int]:
    """The last piece with results and its sidecar, and the last epoch. Segments that only begin one have none."""
    newest_epoch = 0
    all_ended = False
    for segment in reversed(extent.segments):
        data = store.read(segment.key(prefix))
        if data is None:
            raise _gone(prefix, segment)
        newest_epoch = max(newest_epoch, log.epoch_of(data) or 0)
        all_ended = all_ended or log.is_all_ended(data)
        found = list(log.documents(data))
        if found:
            sidecar = _sidecar(store, prefix, segment)
            if all_ended:
                sidecar = sidecar.model_copy(update={"unended": ()})
            resume = ResumePoint(sidecar, _chunk(prefix, found[-1]))
            return resume, max(newest_epoch, resume.sidecar.epoch)
    return None, newest_epoch


def _gone(prefix: str, segment: Segment) -> ArchiveError:
    # Listed a moment ago: its writer dropped it, or it was merged, so the listing is out of date.
    return ArchiveError(f"the piece of {prefix} at {segment.offset} has gone while it was read")


def _chunk(prefix: str, document: bytes) -> Chunk:
    try:
        return Chunk.model_validate_json(document)
    except ValidationError as error:
        raise ArchiveCorruptError(f"the log {prefix} holds a chunk that cannot be read: {error}") from error


def _sidecar(store: Store, prefix: str, segment: Segment) -> Sidecar:
    data = store.read(segment.sidecar_key(prefix))
    if data is None:
        raise ArchiveCorruptError(f"the piece of {prefix} at {segment.offset} has no sidecar")
    try:
        return Sidecar.model_validate_json(data)
    except ValidationError as error:
        raise ArchiveCorruptError(f"the sidecar of {prefix} at {segment.offset} cannot be read: {error}") from error
