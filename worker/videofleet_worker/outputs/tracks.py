"""Which tracks are there: when each began and ended. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from videofleet_worker.outputs.shots import Moment


@dataclass(slots=True)
class OpenTrack:
    """A track while it is there; `confidence` is the best so far, `label` that of the frame that had it."""

    track_id: int
    label: str
    confidence: float
    first: Moment
    last: Moment


class OpenTracks:
    """The tracks of one analytics that are there."""

    def __init__(self) -> None:
        self._tracks: dict[int, OpenTrack] = {}

    def __len__(self) -> int:
        return len(self._tracks)

    def all(self) -> list[OpenTrack]:
        """Those that are there."""
        return list(self._tracks.values())

    def see(self, objects: Iterable[tuple[int, str, float]], moment: Moment) -> list[OpenTrack]:
        """The objects of the next frame, as track id, class and confidence; the tracks that began with it."""
        begun = []
        for track_id, label, confidence in objects:
            known = self._tracks.get(track_id)
            if known is None:
                known = self._tracks[track_id] = OpenTrack(track_id, label, confidence, moment, moment)
                begun.append(known)
            elif confidence > known.confidence:
                known.label, known.confidence = label, confidence
            known.last = moment
        return begun

    def ended(self, pts: float, lost_seconds: float) -> list[OpenTrack]:
        """Let go of those that have not been seen for longer."""
        # A sum of frame times is never quite a round number.
        gone = [one for one in self._tracks.values() if pts - one.last.pts > lost_seconds + 1e-6]
        for one in gone:
            del self._tracks[one.track_id]
        return gone

    def end(self) -> list[OpenTrack]:
        """Let go of all."""
        gone = self.all()
        self._tracks.clear()
        return gone
