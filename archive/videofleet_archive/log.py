"""The log of results is the server-sent events themselves; this module knows their bytes and nothing else.

An event is `id: <16 digits>`, `data: <document>` and a blank line; the digits are the offset in the log after that
blank line, so that a client goes on from the last id it saw. Comments (`: ...`) are for people and for writers.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

DONE: Final = b"[DONE]"
_DIGITS: Final = 16
_ID: Final = b"id: "
_DATA: Final = b"\ndata: "
_END: Final = b"\n\n"
_FRAMING: Final = len(_ID) + _DIGITS + len(_DATA) + len(_END)
_EPOCH: Final = b": epoch "
_ERROR: Final = b": error "


def event(start: int, data: bytes) -> bytes:
    """The event with `data` (one line) that begins at offset `start`."""
    after = start + _FRAMING + len(data)
    return _ID + b"%0*d" % (_DIGITS, after) + _DATA + data + _END


def epoch_comment(epoch: int, owner: str) -> bytes:
    """What a writer begins with. `owner` differs between any two writers, also of one epoch."""
    return _EPOCH + f"{epoch} by {owner}".encode() + _END


def epoch_of(segment: bytes) -> int | None:
    """The epoch of a writer's first segment; None for any other segment."""
    number = segment.removeprefix(_EPOCH).partition(b" ")[0]
    return int(number) if segment.startswith(_EPOCH) and number.isdigit() else None


def gap_comment(frames: int) -> bytes:
    """Stands for results that a full spool could not hold."""
    return f": gap frames={frames}".encode() + _END


def error_comment(code: str, message: str) -> bytes:
    """Says why a run ended with an error; `code` is one word."""
    return _ERROR + f"{code} {' '.join(message.split())}".encode() + _END


def error_of(segment: bytes) -> tuple[str, str] | None:
    """Code and message of the error comment in a segment."""
    for block in segment.split(_END):
        if block.startswith(_ERROR):
            code, _, message = block.removeprefix(_ERROR).decode().partition(" ")
            return code, message
    return None


def is_finished(last_segment: bytes) -> bool:
    """Whether the log ends for good with this segment."""
    return last_segment.endswith(_DATA + DONE + _END)


def documents(segment: bytes) -> Iterator[bytes]:
    """The data of every event in whole events, `[DONE]` left out."""
    for block in segment.split(_END):
        head, separator, data = block.partition(_DATA)
        if separator and head.startswith(_ID) and data != DONE:
            yield data


def segment_key(prefix: str, offset: int) -> str:
    """Where the segment that begins at `offset` lies."""
    return f"{prefix}/chunks/{offset:0{_DIGITS}d}"


def sidecar_key(prefix: str, offset: int) -> str:
    """Where the sidecar of the segment that begins at `offset` lies."""
    return f"{prefix}/sidecars/{offset:0{_DIGITS}d}"


def offset_of_key(key: str) -> int | None:
    """The offset at the end of a key, None where the key is no segment's."""
    name = key.rpartition("/")[2]
    return int(name) if len(name) == _DIGITS and name.isascii() and name.isdigit() else None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored piece of the log: offset of its first byte, and its size in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.offset + self.size


@dataclass(slots=True)
class Extent:
    """The contiguous segments of a log: from the horizon `start` to `end`."""

    segments: list[Segment] = field(default_factory=list)

    @classmethod
    def contiguous(cls, found: list[Segment]) -> "Extent":
        """The segments from the first one up to the first hole."""
        extent = cls()
        for segment in sorted(found, key=lambda one: one.offset):
            if extent.segments and segment.offset != extent.end:
                break
            extent.segments.append(segment)
        return extent

    @property
    def start(self) -> int:
        """Oldest offset that can be read; begins an event."""
        return self.segments[0].offset if self.segments else 0

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.segments[-1].end if self.segments else 0

    def append(self, size: int) -> None:
        """A segment of `size` bytes was stored at the end."""
        self.segments.append(Segment(self.end, size))

    def drop_above(self, max_bytes: int) -> list[Segment]:
        """Forget the oldest segments until at most `max_bytes` are left, never the last; return them."""
        count = 0
        while count < len(self.segments) - 1 and self.end - self.segments[count].offset > max_bytes:
            count += 1
        dropped, self.segments = self.segments[:count], self.segments[count:] if count else self.segments
        return dropped

    def locate(self, offset: int) -> Segment:
        """The segment that holds the byte at `offset`, which must be within start and end."""
        place = bisect.bisect_right(self.segments, offset, key=lambda one: one.offset) - 1
        return self.segments[place]
