"""The tracks of an analytics whose log tells events: each begins, is folded while it is there, and ends once."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from videofleet_api.results import StreamInfo, TrackRecord
from videofleet_archive.shots import shot_name
from videofleet_archive.trackfold import TRACK_BEGIN, TrackFold
from videofleet_archive.tracks import track_end

Document = dict[str, Any]
_WHERE = {"zone_enter": "zone", "line_cross": "line"}


@dataclass(slots=True)
class _Followed:
    fold: TrackFold
    first_time: float
    last_time: float
    roi: Document
    visited: dict[str, list[str]] = field(default_factory=lambda: {"zone": [], "line": []})

    def add(self, target: Document, info: StreamInfo) -> None:
        if target["confidence"] > self.fold.best_confidence:
            self.roi = target["roi"]
        self.fold.add(info.frame_index, target)
        self.last_time = info.capture_time


class TrackBook:
    """Keeps the tracks that are there. `has_shot` says whether there is a picture of one."""

    def __init__(self, has_shot: Callable[[int], bool]) -> None:
        self._has_shot = has_shot
        self._tracks: dict[int, _Followed] = {}

    def see(self, targets: Sequence[Document], info: StreamInfo) -> list[Document]:
        """The `Target` documents of the next frame; the events of tracks that began with it."""
        begun = []
        for target in targets:
            track_id = target.get("track_id")
            if not track_id:
                continue
            known = self._tracks.get(track_id)
            if known is None:
                time, frame = info.capture_time, info.frame_index
                known = self._tracks[track_id] = _Followed(TrackFold(frame), time, time, target["roi"])
                begun.append({"kind": TRACK_BEGIN, "track_id": track_id, "class": target["class"]})
            known.add(target, info)
        return begun

    def note(self, events: Sequence[Document]) -> None:
        """What objects did in zones and at lines."""
        for event in events:
            where, known = _WHERE.get(event["kind"]), self._tracks.get(event["track_id"])
            if where is not None and known is not None and event[where] not in known.visited[where]:
                known.visited[where].append(event[where])

    def ended(self, followed: Container[int]) -> list[Document]:
        """Let go of the tracks that are followed no more; the events of their ends."""
        return self._end([track_id for track_id in self._tracks if track_id not in followed])

    def end(self) -> list[Document]:
        """Let go of all; the events of their ends."""
        return self._end(list(self._tracks))

    def there(self) -> tuple[TrackRecord, ...]:
        """Those that are there, for who goes on after this epoch: pictures that are not stored are not his."""
        return tuple(_record(track_id, known) for track_id, known in self._tracks.items())

    def _end(self, track_ids: Sequence[int]) -> list[Document]:
        events = []
        for track_id in track_ids:
            record = _record(track_id, self._tracks.pop(track_id))
            if self._has_shot(track_id):
                record = record.model_copy(update={"best_shot": shot_name(track_id)})
            events.append(track_end(record))
        return events


def _record(track_id: int, known: _Followed) -> TrackRecord:
    return TrackRecord.model_validate(
        known.fold.document(track_id)
        | {"first_time": known.first_time, "last_time": known.last_time, "roi": known.roi}
        | {"zones": known.visited["zone"] or None, "lines": known.visited["line"] or None}
    )
