"""Tracks on their own: the events that tell their ends, and `tracks/<hour>.ndjson` of a live source.

A file has the tracks whose ends the log tells within an hour of UTC, a `FiledTrack` a line. The log's own time is what
counts, the latest time of capture so far, so nothing can come late to an hour that the log has gone beyond. The file is
made from the log and created only if absent: whoever makes it makes the same, and nobody has to remember anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from pydantic import ValidationError

from videofleet_api.outputs import ArchiveDetail
from videofleet_api.results import FiledTrack, Sidecar, TrackRecord
from videofleet_archive import log
from videofleet_archive.acquire import scan, tail
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError
from videofleet_archive.extent import Extent
from videofleet_archive.store import Store
from videofleet_archive.trackfold import TRACK_END

_HOUR: Final = 3600.0
_NAME: Final = "%Y-%m-%dT%H"
_SUFFIX: Final = ".ndjson"


def track_end(record: TrackRecord) -> dict[str, Any]:
    """The event that a track has ended, as an `ObjectEvent` document."""
    told = record.model_dump(by_alias=True, exclude_defaults=True)
    return {"kind": TRACK_END, "track_id": record.track_id, "class": record.class_, "track": told}


def hour_of(time: float) -> int:
    """The hour of a Unix time, counted from 1970."""
    return int(time // _HOUR)


def tracks_folder(prefix: str) -> str:
    """Where the tracks of a live source lie."""
    return f"{prefix}/tracks"


def tracks_key(prefix: str, hour: int) -> str:
    """Where those of an hour lie."""
    return f"{tracks_folder(prefix)}/{datetime.fromtimestamp(hour * _HOUR, UTC):{_NAME}}{_SUFFIX}"


def hour_of_key(key: str) -> int | None:
    """The hour at the end of a key, None where the key is none of a file of tracks."""
    name = key.rpartition("/")[2]
    if not name.endswith(_SUFFIX):
        return None
    try:
        found = datetime.strptime(name.removesuffix(_SUFFIX), _NAME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return hour_of(found.timestamp())


def filed_hours(store: Store, prefix: str) -> list[int]:
    """The hours that have a file, in order. Blocking."""
    hours = (hour_of_key(one.key) for one in store.listing(tracks_folder(prefix)))
    return sorted(hour for hour in hours if hour is not None)


@dataclass(slots=True)
class ToldTracks:
    """The tracks whose ends a log tells, by hour, and the hour that its time has come to."""

    hour: int = 0
    hours: dict[int, list[FiledTrack]] = field(default_factory=dict)

    def add(self, prefix: str, offset: int, document: bytes) -> None:
        """The next chunk, of the event with this id. Raises ArchiveCorruptError."""
        chunk = _chunk(prefix, document)
        self.hour = max(self.hour, hour_of(chunk["stream_info"]["capture_time"]))
        if ended := list(_ended(prefix, chunk, offset)):
            self.hours.setdefault(self.hour, []).extend(ended)


def told_tracks(store: Store, prefix: str, extent: Extent, after: int = 0, hour: int = 0) -> ToldTracks:
    """What the log tells behind the offset `after`, where its time had come to this hour.

    Blocking. Raises ArchiveError, ArchiveCorruptError.
    """
    told = ToldTracks(hour)
    for piece in extent.segments:
        if piece.end <= after:
            continue
        data = store.read(piece.key(prefix))
        if data is None:
            raise ArchiveError(f"the piece of {prefix} at {piece.offset} has gone while it was read")
        for begin, block in log.blocks(data):
            offset = piece.offset + begin + len(block)
            for document in log.documents(block) if offset > after else ():
                told.add(prefix, offset, document)
    return told


def filed_tracks(store: Store, prefix: str, hour: int) -> list[FiledTrack]:
    """What lies in the file of an hour; nothing where there is none. Blocking. Raises ArchiveCorruptError."""
    lines = (store.read(tracks_key(prefix, hour)) or b"").splitlines()
    return [_parsed(prefix, _chunk(prefix, line)) for line in lines]


def file_tracks(store: Store, prefix: str) -> int:
    """Make the files of all hours that the log has gone beyond; the hour that its time has come to.

    May be called again, by anybody. Blocking. Raises ArchiveError, ArchiveCorruptError.
    """
    told = _unfiled(store, prefix)
    _file(store, prefix, {hour: tracks for hour, tracks in told.hours.items() if hour < told.hour})
    return told.hour


def file_last_tracks(store: Store, prefix: str) -> None:
    """Make the files of all hours of a finished log, where it is one whose tracks are filed. As `file_tracks`."""
    last = _newest(store, prefix)
    if last is not None and last.arrival is not None and last.detail is ArchiveDetail.TRACKS:
        _file(store, prefix, _unfiled(store, prefix).hours)


def read_tracks(store: Store, prefix: str, since: float = 0.0) -> Iterator[FiledTrack] | None:
    """The tracks that have ended and were seen at this Unix time or later, in the order of their ends; None where the
    log tells frames, which have them all.

    Blocking, and so is each step. Raises ArchiveError, ArchiveCorruptError.
    """
    last = _newest(store, prefix)
    if last is not None and last.detail is ArchiveDetail.FRAMES:
        return None
    return (track for track in _all_tracks(store, prefix, hour_of(since)) if track.last_time >= since)


def drop_tracks(store: Store, prefix: str, before: float) -> None:
    """Delete the files of hours that were over before this Unix time. Blocking."""
    old = [hour for hour in filed_hours(store, prefix) if (hour + 1) * _HOUR < before]
    store.delete([tracks_key(prefix, hour) for hour in old])


def _newest(store: Store, prefix: str) -> Sidecar | None:
    last = tail(store, prefix, scan(store, prefix))[0]
    return last.sidecar if last is not None else None


def _file(store: Store, prefix: str, hours: Mapping[int, Sequence[FiledTrack]]) -> None:
    for hour, tracks in sorted(hours.items()):
        store.create(tracks_key(prefix, hour), b"".join(map(line_of, tracks)))


def _all_tracks(store: Store, prefix: str, first_hour: int) -> Iterator[FiledTrack]:
    # What is not filed comes first: it may be filed meanwhile, and would be missed.
    told = _unfiled(store, prefix)
    for hour in filed_hours(store, prefix):
        if hour >= first_hour and hour not in told.hours:
            yield from filed_tracks(store, prefix, hour)
    for _, tracks in sorted(told.hours.items()):
        yield from tracks


def _unfiled(store: Store, prefix: str) -> ToldTracks:
    """What the log tells behind the last track that is in a file."""
    for hour in reversed(filed_hours(store, prefix)):
        if tracks := filed_tracks(store, prefix, hour):
            # Of an hour that has a file everything is in it.
            return told_tracks(store, prefix, scan(store, prefix), tracks[-1].offset, hour + 1)
    return told_tracks(store, prefix, scan(store, prefix))


def line_of(track: FiledTrack) -> bytes:
    """A track as a line of its file."""
    return track.model_dump_json(by_alias=True, exclude_defaults=True).encode() + b"\n"


def _chunk(prefix: str, document: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise ArchiveCorruptError(f"the log {prefix} holds a chunk that cannot be read: {error}") from error
    return found


def _ended(prefix: str, chunk: dict[str, Any], offset: int) -> Iterator[FiledTrack]:
    for result in chunk["delta"]["results"]:
        for event in result.get("events") or ():
            if event["kind"] == TRACK_END:
                yield _parsed(prefix, event["track"] | {"offset": offset})


def _parsed(prefix: str, document: object) -> FiledTrack:
    try:
        return FiledTrack.model_validate(document)
    except ValidationError as error:
        raise ArchiveCorruptError(f"{prefix} holds a track that cannot be read: {error}") from error
