"""How an epoch becomes the owner of a log, and where it goes on. Blocking; runs in a thread."""

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from videofleet_api.results import Chunk, FinishReason, Sidecar, Usage
from videofleet_archive import log
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError, FencedError
from videofleet_archive.store import Store

_ATTEMPTS: Final = 50


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

    extent: log.Extent
    ending: Ending | None = None
    resume: ResumePoint | None = None
    newest_epoch: int = 0
    """The epoch that owns it, 0 for none."""


def look(store: Store, prefix: str) -> Found:
    """The log under `prefix`, which may belong to another writer and go on. Raises as `acquire`."""
    extent = scan(store, prefix)
    ending = _ending(store, prefix, extent)
    if ending is not None:
        return Found(extent, ending)
    resume, newest_epoch = _tail(store, prefix, extent)
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
        key = log.segment_key(prefix, found.extent.end)
        # A lost answer may hide that the first attempt succeeded: then our own bytes lie there.
        if store.create(key, comment) or store.read(key) == comment:
            found.extent.append(len(comment))
            return found
    raise ArchiveError(f"another writer was faster {_ATTEMPTS} times at the end of {prefix}")


def scan(store: Store, prefix: str) -> log.Extent:
    """The contiguous segments that lie in the store."""
    found = [
        log.Segment(offset, stored.size)
        for stored in store.listing(f"{prefix}/chunks")
        if (offset := log.offset_of_key(stored.key)) is not None
    ]
    return log.Extent.contiguous(found)


def _ending(store: Store, prefix: str, extent: log.Extent) -> Ending | None:
    if not extent.segments:
        return None
    last = _segment(store, prefix, extent.segments[-1])
    if not log.is_finished(last):
        return None
    terminal = _chunk(prefix, list(log.documents(last))[-1])
    if terminal.finish_reason is None or terminal.usage is None:
        raise ArchiveCorruptError(f"the log {prefix} is finished without a terminal chunk")
    return Ending(terminal.finish_reason, terminal.usage, log.error_of(last))


def _tail(store: Store, prefix: str, extent: log.Extent) -> tuple[ResumePoint | None, int]:
    """The last segment with results and its sidecar, and the last epoch. Segments that only begin one have none."""
    newest_epoch = 0
    for segment in reversed(extent.segments):
        data = _segment(store, prefix, segment)
        newest_epoch = max(newest_epoch, log.epoch_of(data) or 0)
        found = list(log.documents(data))
        if found:
            resume = ResumePoint(_sidecar(store, prefix, segment.offset), _chunk(prefix, found[-1]))
            return resume, max(newest_epoch, resume.sidecar.epoch)
    return None, newest_epoch


def _segment(store: Store, prefix: str, segment: log.Segment) -> bytes:
    data = store.read(log.segment_key(prefix, segment.offset))
    if data is None:
        # Listed a moment ago: the writer of a live log dropped it, so the listing is out of date.
        raise ArchiveError(f"the segment of {prefix} at {segment.offset} has gone while it was read")
    return data


def _chunk(prefix: str, document: bytes) -> Chunk:
    try:
        return Chunk.model_validate_json(document)
    except ValidationError as error:
        raise ArchiveCorruptError(f"the log {prefix} holds a chunk that cannot be read: {error}") from error


def _sidecar(store: Store, prefix: str, offset: int) -> Sidecar:
    data = store.read(log.sidecar_key(prefix, offset))
    if data is None:
        raise ArchiveCorruptError(f"the segment of {prefix} at {offset} has no sidecar")
    try:
        return Sidecar.model_validate_json(data)
    except ValidationError as error:
        raise ArchiveCorruptError(f"the sidecar of {prefix} at {offset} cannot be read: {error}") from error
