"""results.json: the tracks of a run, folded from its log."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from videofleet_api.results import FinishReason, RunResult, Track, Usage
from videofleet_archive import log
from videofleet_archive.acquire import scan
from videofleet_archive.errors import ArchiveCorruptError
from videofleet_archive.shots import shot_name, stored_shots
from videofleet_archive.store import Store
from videofleet_archive.trackfold import TRACK_END, TrackFold


@dataclass(slots=True)
class RunSummary:
    """Folds the chunks of one run, in order."""

    tracks: dict[int, TrackFold] = field(default_factory=dict)
    ended: dict[int, Track] = field(default_factory=dict)
    """Those of which the log itself tells everything."""
    terminal: dict[str, Any] | None = None
    counts: dict[str, Any] = field(default_factory=dict)

    def add(self, chunk: dict[str, Any]) -> None:
        """One chunk document."""
        frame = chunk["stream_info"]["frame_index"]
        for result in chunk["delta"]["results"]:
            if chunk["finish_reason"] is None:
                self.counts = {name: result[name] for name in ("zones", "lines") if result.get(name)}
            for target in result["targets"]:
                track_id = target.get("track_id")
                if track_id is not None:
                    self.tracks.setdefault(track_id, TrackFold(first_frame=frame)).add(frame, target)
            for event in result.get("events") or ():
                if event["kind"] == TRACK_END:
                    self.ended[event["track_id"]] = Track.model_validate(event["track"])
        if chunk["finish_reason"] is not None:
            self.terminal = chunk

    def result(self, model: str) -> RunResult:
        """The summary. Raises ArchiveCorruptError for a log without an end."""
        if self.terminal is None:
            raise ArchiveCorruptError("a log without a terminal chunk has no result")
        reason: FinishReason = self.terminal["finish_reason"]
        return RunResult(
            id=self.terminal["id"],
            model=model,
            finish_reason=reason,
            usage=Usage.model_validate(self.terminal["usage"]),
            tracks=[self._track(track_id) for track_id in sorted(self.tracks.keys() | self.ended.keys())],
            **self.counts,
        )

    def _track(self, track_id: int) -> Track:
        return self.ended.get(track_id) or Track.model_validate(self.tracks[track_id].document(track_id))


def results_key(prefix: str) -> str:
    """Where the summary of a run lies."""
    return f"{prefix}/results.json"


def snapshot_key(prefix: str) -> str:
    """Where the annotated picture of a run lies."""
    return f"{prefix}/snapshot.jpg"


def stored_documents(store: Store, prefix: str) -> Iterator[bytes]:
    """The chunks of the log under `prefix`, each as one line of JSON. Blocking. Raises ArchiveCorruptError."""
    for segment in scan(store, prefix).segments:
        data = store.read(segment.key(prefix))
        if data is None:
            raise ArchiveCorruptError(f"the archive lacks the piece of {prefix} at {segment.offset}")
        yield from log.documents(data)


def summarise(store: Store, prefix: str, model: str) -> RunResult:
    """Fold the finished log under `prefix`. Blocking."""
    summary = RunSummary()
    for document in stored_documents(store, prefix):
        summary.add(orjson.loads(document))
    return summary.result(model)


def write_results(store: Store, prefix: str, model: str) -> None:
    """Fold the finished log and store results.json. Blocking."""
    store.replace(results_key(prefix), results_document(store, prefix, model))


def results_document(store: Store, prefix: str, model: str) -> bytes:
    """What results.json of the finished log says; the same log and shots give the same bytes. Blocking."""
    result = _with_shots(summarise(store, prefix, model), stored_shots(store, prefix))
    return result.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode() + b"\n"


def _with_shots(result: RunResult, stored: Iterable[int]) -> RunResult:
    """The result, naming the shots that lie beside it."""
    known = set(stored)
    tracks = [
        track.model_copy(update={"best_shot": shot_name(track.track_id) if track.track_id in known else None})
        for track in result.tracks
    ]
    return result.model_copy(update={"tracks": tracks})
