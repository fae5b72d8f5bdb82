"""Whether an archive keeps its laws: every log contiguous, every id its offset, every sidecar what its segment says.

What a writer leaves when it is killed (a sidecar without its segment, segments beneath their part) is as it should be.
What is being written while it is checked may look unfinished, but not wrong. Blocking.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import orjson
from pydantic import ValidationError

from videofleet_api.results import Chunk, FiledTrack, Sidecar
from videofleet_archive import log
from videofleet_archive.acquire import pieces
from videofleet_archive.errors import ArchiveCorruptError
from videofleet_archive.extent import (
    Extent,
    Segment,
    chunks_folder,
    offset_of_key,
    parts_folder,
    range_of_key,
    sidecars_folder,
)
from videofleet_archive.results import results_document, results_key
from videofleet_archive.store import Store, StoredObject
from videofleet_archive.tracks import filed_hours, filed_tracks, hour_of, hour_of_key, tracks_folder, tracks_key


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: in which log or object, and at which offset of the log, where it has one."""

    where: str
    what: str
    offset: int | None = None

    def __str__(self) -> str:
        at = "" if self.offset is None else f" at {self.offset}"
        return f"{self.where}{at}: {self.what}"


def logs_below(store: Store, folder: str) -> list[str]:
    """The prefix of every log in the folder, at whatever depth: those that have chunks or parts."""
    found: list[str] = []
    inside = store.folders(folder)
    if any(name in (chunks_folder(folder), parts_folder(folder)) for name in inside):
        return [folder]
    for each in inside:
        if not each.rpartition("/")[2].startswith("."):
            found += logs_below(store, each)
    return found


def check_log(store: Store, prefix: str) -> list[Finding]:
    """Everything that is wrong with the log under the prefix. Raises ArchiveError where the store fails."""
    found = list(_names(store, prefix))
    # Before the log, which goes on.
    filed = _Filed(store, prefix)
    runs = Extent.runs(pieces(store, prefix))
    for before, after in pairwise(runs):
        found.append(Finding(prefix, f"there is a hole up to {after.start}", before.end))
    walk = _Walk(prefix)
    for run in runs[-1:]:
        for piece in run.segments:
            data = store.read(piece.key(prefix))
            if data is None:
                found.append(Finding(prefix, "the piece has gone while the log was checked", piece.offset))
                return found
            found += walk.piece(piece, data)
            found += _sidecar(store, prefix, piece, data)
    found += _beneath(store, prefix, runs[-1:])
    found += filed.against(walk, runs[-1].start if runs else 0)
    return found + list(_results(store, prefix, walk))


def _names(store: Store, prefix: str) -> Iterator[Finding]:
    for one in store.listing(chunks_folder(prefix)):
        if offset_of_key(one.key) is None:
            yield Finding(one.key, "this is no name of a segment")
        elif not one.size:
            yield Finding(one.key, "the segment is empty")
    for one in store.listing(parts_folder(prefix)):
        yield from _part_name(one)
    for one in store.listing(sidecars_folder(prefix)):
        if offset_of_key(one.key) is None and range_of_key(one.key) is None:
            yield Finding(one.key, "this is no name of a sidecar")


def _part_name(one: StoredObject) -> Iterator[Finding]:
    place = range_of_key(one.key)
    if place is None:
        yield Finding(one.key, "this is no name of a part")
    elif place[1] - place[0] != one.size:
        yield Finding(one.key, f"the part has {one.size} bytes, and its name says {place[1] - place[0]}")


class _Walk:
    """Goes through the bytes of a log, in order."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.epoch = 0
        self.done = False
        self.last: Chunk | None = None
        self.hour = 0
        self.ended: dict[int, tuple[int, FiledTrack]] = {}
        """By number: the tracks whose ends the log tells, each with the hour."""

    def piece(self, piece: Segment, data: bytes) -> Iterator[Finding]:
        """What is wrong with the next piece."""
        for begin, block in log.blocks(data):
            at = piece.offset + begin
            if self.done:
                yield self._wrong("there is something behind [DONE]", at)
                return
            yield from self._comment(block, at) if block.startswith(b":") else self._event(block, at)

    def _wrong(self, what: str, at: int) -> Finding:
        return Finding(self._prefix, what, at)

    def _comment(self, block: bytes, at: int) -> Iterator[Finding]:
        if not block.endswith(b"\n"):
            yield self._wrong("a comment has no end", at)
        epoch = log.epoch_of(block)
        if epoch is not None:
            if epoch < self.epoch:
                yield self._wrong(f"epoch {epoch} comes after epoch {self.epoch}", at)
            self.epoch = max(self.epoch, epoch)

    def _event(self, block: bytes, at: int) -> Iterator[Finding]:
        end = at + len(block)
        if block != log.event(at, log.data_of(block)):
            yield self._wrong(f"this is no event whose id is the offset behind it, {end:016d}", at)
            return
        if self.epoch == 0 and at == 0:
            yield self._wrong("the log does not begin with an epoch", at)
        if log.data_of(block) == log.DONE:
            self.done = True
            if self.last is None or self.last.finish_reason is None:
                yield self._wrong("[DONE] follows no terminal chunk", at)
            return
        yield from self._chunk(log.data_of(block), at, end)

    def _chunk(self, data: bytes, at: int, end: int) -> Iterator[Finding]:
        try:
            chunk = Chunk.model_validate_json(data)
        except ValidationError as error:
            yield self._wrong(f"the chunk cannot be read: {error.errors()[0]['msg']}", at)
            return
        if self.last is not None and self.last.finish_reason is not None:
            yield self._wrong("a chunk follows the terminal one", at)
        if self.last is not None and chunk.stream_info.frame_index < self.last.stream_info.frame_index:
            yield self._wrong(
                f"frame {chunk.stream_info.frame_index} follows frame {self.last.stream_info.frame_index}", at
            )
        if chunk.finish_reason is not None and chunk.usage is None:
            yield self._wrong("the terminal chunk has no usage", at)
        self.last = chunk
        yield from self._ends(chunk, at, end)

    def _ends(self, chunk: Chunk, at: int, end: int) -> Iterator[Finding]:
        self.hour = max(self.hour, hour_of(chunk.stream_info.capture_time))
        told = (event.track for result in chunk.delta.results for event in result.events or ())
        for track in (one for one in told if one is not None):
            if track.track_id in self.ended:
                yield self._wrong(f"track {track.track_id} has ended before", at)
            self.ended[track.track_id] = self.hour, FiledTrack(**dict(track), offset=end)


def _sidecar(store: Store, prefix: str, piece: Segment, data: bytes) -> Iterator[Finding]:
    """A piece with results has a sidecar that says what its last ones are."""
    documents = list(log.documents(data))
    if not documents:
        return
    key = piece.sidecar_key(prefix)
    stored = store.read(key)
    if stored is None:
        yield Finding(key, "the piece has no sidecar", piece.offset)
        return
    try:
        sidecar = Sidecar.model_validate_json(stored)
        last = Chunk.model_validate_json(documents[-1])
    except ValidationError as error:
        yield Finding(key, f"the sidecar or its chunk cannot be read: {error.errors()[0]['msg']}", piece.offset)
        return
    if not piece.offset <= sidecar.offset < piece.end:
        yield Finding(key, f"the sidecar is that of offset {sidecar.offset}", piece.offset)
    told = last.stream_info.frame_index, last.stream_info.pts
    if (sidecar.frame_index, sidecar.pts) != told:
        yield Finding(
            key, f"the sidecar says frame {sidecar.frame_index}, the results end with {told[0]}", piece.offset
        )
    highest = max((one for document in documents for one in _track_ids(document)), default=0)
    if sidecar.highest_track_id < highest:
        yield Finding(
            key, f"the sidecar knows tracks up to {sidecar.highest_track_id}, there is {highest}", piece.offset
        )


def _track_ids(document: bytes) -> Iterator[int]:
    try:
        for result in orjson.loads(document)["delta"]["results"]:
            for one in (*result["targets"], *(result.get("events") or ())):
                yield one.get("track_id") or 0
    except (orjson.JSONDecodeError, KeyError, TypeError):
        # Told already as a chunk that cannot be read.
        return


class _Filed:
    """The tracks that lie in files, an hour each."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._prefix = prefix
        self._tracks: dict[int, FiledTrack] = {}
        self._wrong: list[Finding] = []
        for one in store.listing(tracks_folder(prefix)):
            if hour_of_key(one.key) is None:
                self._wrong.append(Finding(one.key, "this is no name of a file of tracks"))
        self._hours = filed_hours(store, prefix)
        for hour in self._hours:
            self._read(store, hour)

    def against(self, walk: _Walk, start: int) -> Iterator[Finding]:
        """What is wrong with the files of a log that is kept from `start` on."""
        yield from self._wrong
        for number, track in self._tracks.items():
            if track.offset > start and walk.ended.get(number, (0, None))[1] != track:
                yield Finding(self._prefix, f"the log does not tell what is filed of track {number}", track.offset)
        for number, (hour, track) in walk.ended.items():
            if hour in self._hours and number not in self._tracks:
                yield Finding(tracks_key(self._prefix, hour), f"track {number} is missing", track.offset)

    def _read(self, store: Store, hour: int) -> None:
        key = tracks_key(self._prefix, hour)
        try:
            tracks = filed_tracks(store, self._prefix, hour)
        except ArchiveCorruptError as error:
            self._wrong.append(Finding(key, str(error)))
            return
        if any(one.track_id in self._tracks for one in tracks):
            self._wrong.append(Finding(key, "a track is there that is in another file"))
        if [one.offset for one in tracks] != sorted(one.offset for one in tracks):
            self._wrong.append(Finding(key, "the tracks are not in the order of their ends"))
        self._tracks |= {one.track_id: one for one in tracks}


def _beneath(store: Store, prefix: str, runs: list[Extent]) -> Iterator[Finding]:
    """What lies beneath a part says the same as the part; else a writer that had been overtaken has left it there."""
    parts = [one for run in runs for one in run.segments if one.part]
    for part in parts:
        whole = store.read(part.key(prefix)) or b""
        for one in pieces(store, prefix):
            if one.part or not part.offset <= one.offset < part.end:
                continue
            data = store.read(one.key(prefix))
            begin = one.offset - part.offset
            if data is not None and whole[begin : begin + one.size] != data:
                yield Finding(prefix, "a segment says something else than the part above it", one.offset)


def _results(store: Store, prefix: str, walk: _Walk) -> Iterator[Finding]:
    """results.json is there when the run is over, and says what the log says."""
    key = results_key(prefix)
    stored = store.read(key)
    if not walk.done:
        if stored is not None:
            yield Finding(key, "there is a summary of a run that is not over")
        return
    if stored is None:
        # A live source has no summary.
        if walk.last is not None and walk.last.stream_info.total_frames is not None:
            yield Finding(key, "the run is over and has no summary")
        return
    try:
        model = orjson.loads(stored)["model"]
        if results_document(store, prefix, model) != stored:
            yield Finding(key, "the summary is not what the log says")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError, ArchiveCorruptError) as error:
        yield Finding(key, f"the summary cannot be read or made: {error}")
