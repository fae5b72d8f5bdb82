"""Which bytes of a log lie where: segments as they were written, and parts that were merged from them."""

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_DIGITS: Final = 16
_NAME: Final = re.compile(rf"[0-9]{{{_DIGITS}}}(-[0-9]{{{_DIGITS}}})?", re.ASCII)


def segment_key(prefix: str, offset: int) -> str:
    """Where the segment that begins at `offset` lies."""
    return f"{chunks_folder(prefix)}/{_name(offset)}"


def sidecar_key(prefix: str, offset: int) -> str:
    """Where the sidecar of the segment that begins at `offset` lies."""
    return f"{sidecars_folder(prefix)}/{_name(offset)}"


def batch_key(prefix: str, offset: int) -> str:
    """Where the letters of the segment that begins at `offset` lie."""
    return f"{batches_folder(prefix)}/{_name(offset)}"


def chunks_folder(prefix: str) -> str:
    """Where the segments of a log lie."""
    return f"{prefix}/chunks"


def parts_folder(prefix: str) -> str:
    """Where the merged parts of a log lie."""
    return f"{prefix}/parts"


def sidecars_folder(prefix: str) -> str:
    """Where the sidecars of segments and parts lie."""
    return f"{prefix}/sidecars"


def outbox_folder(prefix: str) -> str:
    """Where everything about letters lies."""
    return f"{prefix}/outbox"


def batches_folder(prefix: str) -> str:
    """Where the letters of segments lie."""
    return f"{outbox_folder(prefix)}/letters"


def offset_of_key(key: str) -> int | None:
    """The offset at the end of a key, None where the key is no segment's."""
    name = _known_name(key)
    return int(name) if name is not None and len(name) == _DIGITS else None


def range_of_key(key: str) -> tuple[int, int] | None:
    """Begin and end at the end of a key, None where the key is no part's."""
    name = _known_name(key)
    if name is None or len(name) == _DIGITS:
        return None
    start, end = map(int, name.split("-"))
    return (start, end) if start < end else None


def _known_name(key: str) -> str | None:
    name = key.rpartition("/")[2]
    return name if _NAME.fullmatch(name) else None


def _name(offset: int) -> str:
    return f"{offset:0{_DIGITS}d}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored piece of the log: offset of its first byte, and its size in bytes; `modified`: Unix time of storing."""

    offset: int
    size: int
    part: bool = False
    """Merged from segments; those may still lie beside it."""
    modified: float = 0.0

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.offset + self.size

    def key(self, prefix: str) -> str:
        """Where it lies."""
        if self.part:
            return f"{parts_folder(prefix)}/{_name(self.offset)}-{_name(self.end)}"
        return segment_key(prefix, self.offset)

    def sidecar_key(self, prefix: str) -> str:
        """Where its sidecar lies."""
        if self.part:
            return f"{sidecars_folder(prefix)}/{_name(self.offset)}-{_name(self.end)}"
        return sidecar_key(prefix, self.offset)


@dataclass(slots=True)
class Extent:
    """The contiguous pieces of a log: from the horizon `start` to `end`."""

    segments: list[Segment] = field(default_factory=list)

    @classmethod
    def contiguous(cls, found: Iterable[Segment]) -> "Extent":
        """The pieces from the first one up to the first hole."""
        return next(iter(cls.runs(found)), cls())

    @classmethod
    def runs(cls, found: Iterable[Segment]) -> "list[Extent]":
        """The pieces, a run for each that begins behind a hole; a log as it should be is one run.

        A part stands for all segments within it. Parts may overlap, since two writers may have merged the same bytes;
        segments never do: one that begins inside of other pieces was left by a writer that had been overtaken.
        """
        runs: list[Extent] = []
        for one in sorted(found, key=lambda each: (each.offset, -each.end)):
            if not runs or one.offset > runs[-1].end:
                runs.append(cls([one]))
            elif one.end > runs[-1].end and (one.part or one.offset == runs[-1].end):
                runs[-1].segments.append(one)
        return runs

    @property
    def start(self) -> int:
        """Oldest offset that can be read; begins an event."""
        return self.segments[0].offset if self.segments else 0

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.segments[-1].end if self.segments else 0

    def append(self, size: int, modified: float) -> None:
        """A segment of `size` bytes was stored at the end, at this Unix time."""
        self.segments.append(Segment(self.end, size, modified=modified))

    def merge(self, part: Segment) -> None:
        """A part stands for the segments within it from now on."""
        first = bisect.bisect_left(self.segments, part.offset, key=lambda one: one.offset)
        last = bisect.bisect_left(self.segments, part.end, key=lambda one: one.offset)
        if first < last:
            self.segments[first:last] = [part]

    def drop_above(self, max_bytes: int) -> list[Segment]:
        """Forget the oldest pieces until at most `max_bytes` are left, never the last; return them."""
        count = 0
        while count < len(self.segments) - 1 and self.end - self.segments[count].offset > max_bytes:
            count += 1
        return self._drop(count)

    def drop_before(self, time: float) -> list[Segment]:
        """Forget the oldest pieces that were stored before this Unix time, never the last; return them."""
        count = 0
        while count < len(self.segments) - 1 and self.segments[count].modified < time:
            count += 1
        return self._drop(count)

    def locate(self, offset: int) -> Segment:
        """The piece that holds the byte at `offset`, which must be within start and end."""
        place = bisect.bisect_right(self.segments, offset, key=lambda one: one.offset) - 1
        return self.segments[place]

    def _drop(self, count: int) -> list[Segment]:
        if not count:
            return []
        dropped, self.segments = self.segments[:count], self.segments[count:]
        return dropped
