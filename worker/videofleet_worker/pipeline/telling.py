"""What an analytics tells the job's receivers, frame by frame."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, cast

from videofleet_api.outputs import OutputEvent
from videofleet_api.protocol import Entry
from videofleet_worker.outputs.documents import Document, Origin, moment_document, shot_document, track_document
from videofleet_worker.outputs.letters import ONGOING, SHOT, Letter
from videofleet_worker.outputs.outbox import Announce
from videofleet_worker.outputs.shots import Moment, Shot
from videofleet_worker.outputs.tracks import OpenTrack, OpenTracks
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.outlets import JobOutlets

_REGION_EVENTS: Final = {
    "zone_enter": OutputEvent.ZONE_ENTER,
    "zone_leave": OutputEvent.ZONE_LEAVE,
    "zone_dwell": OutputEvent.ZONE_DWELL,
    "line_cross": OutputEvent.LINE_CROSS,
}


class Telling:
    """Makes letters of what frames show. They are given to whoever writes the log, to be kept with those frames."""

    def __init__(
        self, origin: Origin, outlets: JobOutlets, wall_clock: Callable[[], float], announce: Announce | None = None
    ) -> None:
        """`announce`: see Outbox."""
        self.outlets = outlets
        self.announce = announce
        self._origin = origin
        self._wall_clock = wall_clock
        self._tracks = OpenTracks()
        self._shots: dict[int, Shot] = {}
        self._ongoing_told: dict[str, float] = {}
        self._letters: list[Letter] = []

    def shot(self, shot: Shot) -> None:
        """The best shot of a track that has ended; what `frame` or `end` says of that track comes next."""
        self._shots[shot.track_id] = shot

    def go_on(self, unended: Iterable[Document], pictured: Collection[int]) -> None:
        """Another epoch has left these, and nobody will see those tracks again: the next frame's letters say so.

        pictured: the tracks of which a picture is stored. The frames that they come from were in that epoch's memory.
        """
        for document in unended:
            track = cast(dict[str, Any], document["track"])
            number = int(track["track_id"])
            has_shot = "shot" in document and number in pictured
            told: Document = document if has_shot else {"track": track}
            self._tell_track_end(number, Moment(**track["last"]), told, number if has_shot else None)

    def unended(self, shots: Callable[[int], Shot | None]) -> Callable[[], tuple[Document, ...]]:
        """What is to be told of the tracks that are there now, should nothing more be seen of them; `shots`: of each
        the best one so far."""
        there = [(one, shots(one.track_id)) for one in self._tracks.all()] if self.outlets.receivers else []
        return lambda: tuple(_end_document(track, shot) for track, shot in there)

    def frame(
        self, objects: Sequence[FoundObject], regions: Sequence[Document], moment: Moment, lost_seconds: float
    ) -> list[Letter]:
        """What a frame shows: its objects, and what they did in zones and at lines, as in its result."""
        followed = [(one.track_id, one.label, one.confidence) for one in objects if one.track_id]
        begun = self._tracks.see(followed, moment)
        for track in begun:
            document: Document = {"track": track_document(track)}
            self._tell(OutputEvent.TRACK_BEGIN, moment, document, track.track_id, "trackBegin")
        for region in regions:
            self._tell_region(region, moment)
        for track in self._tracks.ended(moment.pts, lost_seconds):
            self._tell_end(track, moment)
        # Of tracks that this has never heard of.
        self._shots.clear()
        self._tell_ongoing(moment)
        return self._told()

    def end(self) -> list[Letter]:
        """Nothing more will come: every track has ended."""
        for track in self._tracks.end():
            self._tell_end(track, track.last)
        self._shots.clear()
        return self._told()

    def _told(self) -> list[Letter]:
        told, self._letters = self._letters, []
        return told

    def _tell_region(self, region: Document, moment: Moment) -> None:
        event = _REGION_EVENTS[str(region["kind"])]
        place = region.get("zone") or region.get("line")
        known = {name: value for name, value in region.items() if name != "kind"}
        self._tell(event, moment, known, region["track_id"], f"{event.value}:{place}:{moment.frame_index}")

    def _tell_end(self, track: OpenTrack, moment: Moment) -> None:
        shot = self._shots.pop(track.track_id, None)
        pictured = shot.track_id if shot is not None else None
        framed = shot is not None and shot.framed
        self._tell_track_end(track.track_id, moment, _end_document(track, shot), pictured, framed=framed)

    def _tell_track_end(
        self, track_id: int, moment: Moment, document: Document, pictured: int | None, *, framed: bool = False
    ) -> None:
        self._tell(OutputEvent.TRACK_END, moment, document, track_id, "trackEnd", pictured=pictured)
        if pictured is not None:
            key = self._origin.key(track_id, "shot")
            told = self._origin_document() | document
            self._write(Letter(key, SHOT, self._wall_clock(), told, pictured, framed=framed))

    def _tell_ongoing(self, moment: Moment) -> None:
        if not self._tracks:
            return
        for receiver in self.outlets.receivers.values():
            last = self._ongoing_told.setdefault(receiver.name, moment.pts)
            if receiver.interval is None or moment.pts - last < receiver.interval:
                continue
            self._ongoing_told[receiver.name] = moment.pts
            document: Document = {"tracks": [track_document(one) for one in self._tracks.all()]}
            self._tell(ONGOING, moment, document, ONGOING, moment.frame_index, to=receiver.cursor)

    def _tell(
        self,
        event: str,
        moment: Moment,
        document: Document,
        *key: object,
        pictured: int | None = None,
        to: str | None = None,
    ) -> None:
        named = self._origin.key(*key)
        told = {"event": event, "key": named} | self._origin_document() | moment_document(moment) | document
        self._write(Letter(named, event, self._wall_clock(), told, pictured, to))

    def _write(self, letter: Letter) -> None:
        if any(receiver.wants(letter) for receiver in self.outlets.receivers.values()):
            self._letters.append(letter)

    def _origin_document(self) -> Document:
        return self._origin.document(self.outlets.wanted.labels)


def _end_document(track: OpenTrack, shot: Shot | None) -> Document:
    document: Document = {"track": track_document(track)}
    return document if shot is None else document | {"shot": shot_document(shot)}


def origin_of(entry: Entry, analytics: str) -> Origin:
    """Where results of a job come from."""
    return Origin(entry.uid, entry.namespace, entry.name, entry.run, entry.epoch, analytics)


def written(letters: Iterable[Letter]) -> bytes:
    """As they are noted with a frame."""
    return b"".join(letter.line() for letter in letters)
