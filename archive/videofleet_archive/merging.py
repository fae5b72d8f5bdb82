"""Many small segments become few large parts, while others read and write the same log. Blocking.

A part holds the very bytes of the segments that it is made from, under a key that names their range, and is created
only if absent. The segments go ten minutes later, when nobody who listed them before still wants them. What is merged
is older than a writer may be behind: one that was overtaken finds its key taken, or the log beyond it.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from videofleet_archive import log
from videofleet_archive.acquire import pieces, scan
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError
from videofleet_archive.extent import (
    Extent,
    Segment,
    offset_of_key,
    sidecar_key,
    sidecars_folder,
)
from videofleet_archive.store import Store

MERGE_SECONDS: Final = 300.0
"""Age of segments that are merged."""
DELETE_SECONDS: Final = 600.0
"""Age of a part whose segments are deleted."""
PART_BYTES: Final = 16 * 1024 * 1024
PART_SEGMENTS: Final = 1000
"""A writer remembers each segment until it is merged, and of a log that tells little 16 MiB are a day."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """When segments become a part, and how large one is about."""

    merge_seconds: float = MERGE_SECONDS
    delete_seconds: float = DELETE_SECONDS
    part_bytes: int = PART_BYTES
    part_segments: int = PART_SEGMENTS
    """A part holds so many at most, and is then smaller."""


def due(extent: Extent, now: float, sizes: Sizes, *, finished: bool) -> list[Segment]:
    """The oldest segments that are to become a part at this Unix time; none while there are too few.

    The last piece of a log that goes on stays as it is: who owns the log next reads it and its sidecar.
    """
    taken: list[Segment] = []
    for one in extent.segments if finished else extent.segments[:-1]:
        if one.part:
            # What lies before a part was left over where the horizon or another writer had cut.
            taken = []
        elif one.modified > now - sizes.merge_seconds:
            break
        else:
            taken.append(one)
            if one.end - taken[0].offset >= sizes.part_bytes or len(taken) >= sizes.part_segments:
                return taken
    # The rest of a finished log is smaller.
    old = bool(extent.segments) and extent.segments[-1].modified <= now - sizes.merge_seconds
    return taken if finished and old and len(taken) > 1 else []


def merge(store: Store, prefix: str, segments: Sequence[Segment]) -> Segment:
    """Make a part of contiguous segments. Raises ArchiveError, ArchiveCorruptError; may then be tried again."""
    # One buffer, whose bytes `getvalue` gives without a copy: a part may have 16 MiB.
    whole = io.BytesIO()
    last_with_results: Segment | None = None
    for one in segments:
        data = store.read(one.key(prefix))
        if data is None:
            raise ArchiveError(f"the segment of {prefix} at {one.offset} was dropped while it was merged")
        if len(data) != one.size:
            raise ArchiveCorruptError(f"the segment of {prefix} at {one.offset} is not as long as was listed")
        whole.write(data)
        if any(True for _ in log.documents(data)):
            last_with_results = one
    joined = whole.getvalue()
    part = Segment(segments[0].offset, len(joined), part=True)
    if last_with_results is not None:
        sidecar = store.read(last_with_results.sidecar_key(prefix))
        if sidecar is None:
            raise ArchiveCorruptError(f"the segment of {prefix} at {last_with_results.offset} has no sidecar")
        store.create(part.sidecar_key(prefix), sidecar)
    if not store.create(part.key(prefix), joined) and store.read(part.key(prefix)) != joined:
        raise ArchiveCorruptError(f"the part of {prefix} at {part.offset} is not what its segments say")
    return part


def left_over(store: Store, prefix: str, before: float) -> list[str]:
    """Keys of segments and their sidecars that a part stored before this Unix time stands for."""
    found = pieces(store, prefix)
    parts = [one for one in found if one.part and one.modified <= before]
    keys = [key for one in found if not one.part and _within(one.offset, parts) for key in _keys(prefix, one.offset)]
    if not parts:
        return keys
    # Also of those that have lost their segment already.
    lone = (offset_of_key(stored.key) for stored in store.listing(sidecars_folder(prefix)))
    keys += [sidecar_key(prefix, offset) for offset in lone if offset is not None and _within(offset, parts)]
    return list(dict.fromkeys(keys))


def _within(offset: int, parts: Iterable[Segment]) -> bool:
    return any(part.offset <= offset < part.end for part in parts)


def _keys(prefix: str, offset: int) -> tuple[str, str]:
    one = Segment(offset, 0)
    # The sidecar stays as long as its segment does.
    return one.key(prefix), one.sidecar_key(prefix)


def drop(store: Store, prefix: str, dropped: Sequence[Segment]) -> None:
    """Delete pieces below the horizon, oldest first: a hole would look like the end of the log to a next epoch."""
    keys: list[str] = []
    for one in dropped:
        if one.part:
            # Its segments first, which would come to light again.
            keys += _beneath(store, prefix, one)
        keys += [one.sidecar_key(prefix), one.key(prefix)]
    store.delete(keys)


def _beneath(store: Store, prefix: str, part: Segment) -> list[str]:
    return [
        key
        for one in pieces(store, prefix)
        if not one.part and _within(one.offset, [part])
        for key in _keys(prefix, one.offset)
    ]


def tend(store: Store, prefix: str, now: float, sizes: Sizes, *, finished: bool) -> int:
    """Merge what is due and delete what parts stand for, of a log that nobody else merges; how many parts were made."""
    made = 0
    extent = scan(store, prefix)
    while segments := due(extent, now, sizes, finished=finished):
        extent.merge(merge(store, prefix, segments))
        made += 1
    store.delete(left_over(store, prefix, now - sizes.delete_seconds))
    return made
