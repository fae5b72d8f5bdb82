"""results.json: the tracks of a run, folded from its log."""

import base64
import math
import sys
from array import array
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


@dataclass(slots=True)
class _Track:
    first_frame: int
    last_frame: int = 0
    frames_seen: int = 0
    best_confidence: float = 0.0
    votes: dict[str, float] = field(default_factory=dict)
    readings: dict[str, float] = field(default_factory=dict)
    feature: tuple[float, str] | None = None

    def add(self, frame: int, target: dict[str, Any]) -> None:
        confidence = float(target["confidence"])
        self.last_frame = frame
        self.frames_seen += 1
        self.best_confidence = max(self.best_confidence, confidence)
        self.votes[target["class"]] = self.votes.get(target["class"], 0.0) + confidence
        if "text" in target:
            self.readings[target["text"]] = self.readings.get(target["text"], 0.0) + target["text_confidence"]
        if "feature" in target and (self.feature is None or confidence > self.feature[0]):
            self.feature = confidence, target["feature"]

    def class_(self) -> str:
        """The class with the most confidence in all; of equals the first by name."""
        return _most(self.votes)

    def text(self) -> str | None:
        """The text with the most confidence in all; None where nothing was read."""
        return _most(self.readings) if self.readings else None


def _most(votes: dict[str, float]) -> str:
    return min(votes, key=lambda name: (-votes[name], name))


def feature_digest(written: str) -> str:
    """How the vector of a target (`Target.feature`) is told in few words: its length and its norm."""
    values = array("f", base64.b64decode(written))
    if sys.byteorder == "big":
        values.byteswap()
    return f"dim={len(values)};norm={math.hypot(*values):.4f}"


@dataclass(slots=True)
class RunSummary:
    """Folds the chunks of one run, in order."""

    tracks: dict[int, _Track] = field(default_factory=dict)
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
                    self.tracks.setdefault(track_id, _Track(first_frame=frame)).add(frame, target)
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
            tracks=[_summary(track_id, self.tracks[track_id]) for track_id in sorted(self.tracks)],
            **self.counts,
        )


def _summary(track_id: int, track: _Track) -> Track:
    return Track(
        track_id=track_id,
        class_=track.class_(),
        first_frame=track.first_frame,
        last_frame=track.last_frame,
        frames_seen=track.frames_seen,
        best_confidence=round(track.best_confidence, 4),
        feature_digest=feature_digest(track.feature[1]) if track.feature else None,
        text=track.text(),
    )


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
        track.model_copy(update={"best_shot": shot_name(track.track_id)}) if track.track_id in known else track
        for track in result.tracks
    ]
    return result.model_copy(update={"tracks": tracks})
