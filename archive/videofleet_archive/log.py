"""The log of results is the server-sent events themselves; this module knows their bytes and nothing else.

An event is `data: <document>`, `id: <16 digits>` and a blank line; the digits are the offset in the log after that
blank line, so that a client goes on from the last id it saw. Comments (`: ...`) are for people and for writers.

Both are so for clients that read lines and not events: some remember an id as soon as they have its line, so it comes
when the data is there; and some take any blank line for an event, so a comment has none of its own.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

DONE: Final = b"[DONE]"
_DIGITS: Final = 16
_DATA: Final = b"data: "
_ID: Final = b"\nid: "
_END: Final = b"\n\n"
_FRAMING: Final = len(_DATA) + len(_ID) + _DIGITS + len(_END)
_EPOCH: Final = b": epoch "
_ERROR: Final = b": error "


def event(start: int, data: bytes) -> bytes:
    """The event with `data` (one line) that begins at offset `start`."""
    after = start + _FRAMING + len(data)
    return _DATA + data + _ID + b"%0*d" % (_DIGITS, after) + _END


def epoch_comment(epoch: int, owner: str) -> bytes:
    """What a writer begins with. `owner` differs between any two writers, also of one epoch."""
    return _EPOCH + f"{epoch} by {owner}".encode() + b"\n"


def epoch_of(segment: bytes) -> int | None:
    """The epoch of a writer's first segment; None for any other segment."""
    number = segment.removeprefix(_EPOCH).partition(b" ")[0]
    return int(number) if segment.startswith(_EPOCH) and number.isdigit() else None


def gap_comment(frames: int) -> bytes:
    """Stands for results that a full spool could not hold."""
    return f": gap frames={frames}".encode() + b"\n"


def error_comment(code: str, message: str) -> bytes:
    """Says why a run ended with an error; `code` is one word."""
    return _ERROR + f"{code} {' '.join(message.split())}".encode() + b"\n"


def error_of(segment: bytes) -> tuple[str, str] | None:
    """Code and message of the error comment in a segment."""
    for line in segment.split(b"\n"):
        if line.startswith(_ERROR):
            code, _, message = line.removeprefix(_ERROR).decode().partition(" ")
            return code, message
    return None


def is_finished(last_segment: bytes) -> bool:
    """Whether the log ends for good with this segment."""
    # Its data, its id, the blank line, and nothing behind that.
    return last_segment.rsplit(b"\n", 4)[-4:-3] == [_DATA + DONE]


def documents(segment: bytes) -> Iterator[bytes]:
    """The data of every event in whole events, `[DONE]` left out."""
    for line in segment.split(b"\n"):
        if line.startswith(_DATA) and line != _DATA + DONE:
            yield line.removeprefix(_DATA)


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
