"""What the log tells of a frame: all of it, or what happened in it. Pure but for the state of the stream."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from videofleet_api.results import StreamInfo, TrackRecord
from videofleet_archive.tracks import track_end
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.trackbook import TrackBook

Document = dict[str, Any]
_QUIET_SECONDS: Final = 10.0
"""After so long without an event a frame is told all the same: where the stream is, and that nothing happened."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An analysed frame: its objects as they are to be told, the frame's width and height, and what its result has on
    zones and lines."""

    info: StreamInfo
    objects: Sequence[FoundObject]
    size: tuple[int, int]
    regions: Document


class Teller(Protocol):
    """Makes the `Result` documents of a log. Each frame is `see`n; the document of those that are to be told is
    made right after that."""

    def see(self, seen: Seen, *, wanted: bool = False) -> bool:
        """Whether this frame is told; it is where it is `wanted`."""

    def document(self) -> Document:
        """What is told of it."""

    def pending(self) -> Document | None:
        """Where the stream is, when the last frame was not told."""

    def end(self) -> Document | None:
        """The last that there is to tell of a run."""

    def there(self) -> tuple[TrackRecord, ...]:
        """The tracks that have begun in what was told, and not ended."""


class EveryFrame:
    """A log that tells every frame."""

    def __init__(self) -> None:
        self._seen: Seen | None = None

    def see(self, seen: Seen, *, wanted: bool = False) -> bool:
        """See Teller."""
        self._seen = seen
        return True

    def document(self) -> Document:
        """See Teller."""
        assert self._seen is not None, "see() comes first"
        targets = [one.target(*self._seen.size) for one in self._seen.objects]
        return {"index": 0, "targets": targets, **self._seen.regions}

    def pending(self) -> Document | None:
        """See Teller."""
        return None

    def end(self) -> Document | None:
        """See Teller."""
        return None

    def there(self) -> tuple[TrackRecord, ...]:
        """See Teller."""
        return ()


class Happenings:
    """A log that tells events: those of zones and lines, and the beginnings and ends of tracks.

    `inherited` are the tracks that were there when the epoch before ended; nobody knows which of those that are found
    now are the same, so they have ended. `followed`: the tracks that may still be seen again.
    """

    def __init__(
        self, inherited: Sequence[TrackRecord], has_shot: Callable[[int], bool], followed: Callable[[], Container[int]]
    ) -> None:
        self._book = TrackBook(has_shot)
        self._interrupted = [track_end(one.model_copy(update={"interrupted": True})) for one in inherited]
        self._followed = followed
        self._told_pts: float | None = None
        self._pending = False
        self._events: list[Document] = []
        self._targets: list[Document] = []
        self._regions: Document = {}

    def see(self, seen: Seen, *, wanted: bool = False) -> bool:
        """See Teller."""
        targets = [one.target(*seen.size) for one in seen.objects]
        self._events, self._interrupted = self._interrupted, []
        self._events += self._book.see(targets, seen.info)
        self._events += (regional := seen.regions.get("events", []))
        self._book.note(regional)
        self._events += self._book.ended(self._followed())
        concerned = {event["track_id"] for event in self._events}
        self._targets = [one for one in targets if one.get("track_id") in concerned]
        self._regions = seen.regions
        due = self._told_pts is None or seen.info.pts - self._told_pts >= _QUIET_SECONDS
        told = due or wanted or bool(self._events)
        self._pending = not told
        if told:
            self._told_pts = seen.info.pts
        return told

    def document(self) -> Document:
        """See Teller."""
        return self._document(self._events, self._targets)

    def pending(self) -> Document | None:
        """See Teller."""
        if not self._pending:
            return None
        self._pending = False
        return self._document([], [])

    def end(self) -> Document | None:
        """See Teller."""
        ended = self._interrupted + self._book.end()
        if not (ended or self._pending):
            return None
        self._pending, self._interrupted = False, []
        return self._document(ended, [])

    def there(self) -> tuple[TrackRecord, ...]:
        """See Teller."""
        return self._book.there()

    def _document(self, events: list[Document], targets: list[Document]) -> Document:
        return {"index": 0, "targets": targets, **self._regions, "events": events}
