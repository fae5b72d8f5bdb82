"""The log of results is the server-sent events themselves; this module knows their bytes and nothing else.

An event is `data: <document>`, `id: <16 digits>` and a blank line; the digits are the offset in the log after that
blank line, so that a client goes on from the last id it saw. Comments (`: ...`) are for people and for writers.

Both are so for clients that read lines and not events: some remember an id as soon as they have its line, so it comes
when the data is there; and some take any blank line for an event, so a comment has none of its own.
"""

from collections.abc import Iterator
from typing import Final

DONE: Final = b"[DONE]"
_DIGITS: Final = 16
_DATA: Final = b"data: "
_ID: Final = b"\nid: "
_END: Final = b"\n\n"
_FRAMING: Final = len(_DATA) + len(_ID) + _DIGITS + len(_END)
_EPOCH: Final = b": epoch "
_ERROR: Final = b": error "
_ENDED: Final = b": tracks ended\n"


def event(start: int, data: bytes) -> bytes:
    """The event with `data` (one line) that begins at offset `start`."""
    after = start + _FRAMING + len(data)
    return _DATA + data + _ID + b"%0*d" % (_DIGITS, after) + _END


def epoch_comment(epoch: int, owner: str) -> bytes:
    """What a writer begins with. `owner` differs between any two writers, also of one epoch."""
    return _EPOCH + f"{epoch} by {owner}".encode() + b"\n"


def epoch_of(data: bytes) -> int | None:
    """The epoch that began last in whole events and comments; None where none begins."""
    # Documents are one line, so a line that begins like this is a comment.
    at = data.rfind(b"\n" + _EPOCH)
    rest = data if at < 0 else data[at + 1 :]
    number = rest[len(_EPOCH) : len(_EPOCH) + _DIGITS].partition(b" ")[0]
    return int(number) if rest.startswith(_EPOCH) and number.isdigit() else None


def gap_comment(frames: int) -> bytes:
    """Stands for results that a full spool could not hold."""
    return f": gap frames={frames}".encode() + b"\n"


def note_comment() -> bytes:
    """Stands for nothing: something was noted when there was no event to note it with."""
    return b": noted\n"


def ended_comment() -> bytes:
    """Says that receivers know of every track so far that it has ended."""
    return _ENDED


def is_all_ended(data: bytes) -> bool:
    """Whether whole events and comments say so, behind their last event."""
    return data.rfind(_ENDED) > data.rfind(_DATA)


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


def data_of(event: bytes) -> bytes:
    """What stands behind `data:` in one event; nothing where it is none."""
    line = event.partition(b"\n")[0]
    return line.removeprefix(_DATA) if line.startswith(_DATA) else b""


def documents(segment: bytes) -> Iterator[bytes]:
    """The data of every event in whole events, `[DONE]` left out."""
    for line in segment.split(b"\n"):
        if line.startswith(_DATA) and line != _DATA + DONE:
            yield line.removeprefix(_DATA)


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The events and comments of whole ones, one by one, and where in `data` each begins."""
    at = 0
    while at < len(data):
        mark = b"\n" if data.startswith(b":", at) else _END
        end = data.find(mark, at)
        end = len(data) if end < 0 else end + len(mark)
        yield at, data[at:end]
        at = end
