"""The end of a log that no worker will write any more: its run was cancelled, or has failed for good."""

from dataclasses import dataclass
from typing import Final

from videofleet_api.results import FinishReason, Sidecar, StreamInfo, Usage
from videofleet_archive import log
from videofleet_archive.acquire import Ending, Found, acquire, scan, tail
from videofleet_archive.documents import chunk, chunk_id, sidecar_document, terminal_chunk
from videofleet_archive.errors import ArchiveError
from videofleet_archive.results import results_key, write_results
from videofleet_archive.store import Store
from videofleet_archive.storing import store_segment
from videofleet_archive.tracks import file_last_tracks, track_end

_ATTEMPTS: Final = 10
_NOTHING: Final = StreamInfo(
    frame_index=0,
    total_frames=None,
    decoded_frames=0,
    dropped_frames=0,
    fps=0.0,
    elapsed_ms=0,
    pts=0.0,
    capture_time=0.0,
)
"""Where a run is that has come to no frame."""


@dataclass(frozen=True, slots=True)
class Closing:
    """How a run is to end: of the job `uid` as `epoch`, which no later one may have. `owner` differs between writers.

    `model` is what results call the model, where they name it, and else what the last sidecar says; `error` is code
    and message for the reason error.
    """

    uid: str
    run: int
    epoch: int
    owner: str
    reason: FinishReason
    model: str | None = None
    error: tuple[str, str] | None = None


def close_log(store: Store, prefix: str, closing: Closing) -> Ending:
    """Write the last chunk, `[DONE]` and, for recorded sources, results.json behind what is durable; or learn how the
    run has ended before. May be called again, by anybody.

    Whoever wrote the log until now finds its next segment taken, and stops. Blocking. Raises FencedError where a later
    epoch owns the log, ArchiveError, ArchiveCorruptError.
    """
    found = acquire(store, prefix, closing.epoch, closing.owner)
    if found.ending is not None:
        # Who ended it may have died before its summary.
        summarise_finished(store, prefix, closing.model)
        return found.ending
    ending = _end(found, closing)
    data, sidecar = _written(found, closing, ending)
    for _ in range(_ATTEMPTS):
        if store_segment(store, prefix, found.extent.end, data, sidecar_document(sidecar)):
            _summarise(store, prefix, closing.model, sidecar)
            return ending
    raise ArchiveError(f"the end of {prefix} was not stored")


def is_live(sidecar: Sidecar) -> bool:
    """Whether the log is that of a live source, which has no end of its own and no summary."""
    return sidecar.arrival is not None


def summarise_finished(store: Store, prefix: str, model: str | None = None, *, live: bool = False) -> None:
    """Write what there is beside a finished log: the last tracks of a live source, and results.json of a recorded one,
    unless it is there; also of a live one where `live` says so.

    Blocking. Raises ArchiveError, ArchiveCorruptError.
    """
    last = tail(store, prefix, scan(store, prefix))[0]
    _summarise(store, prefix, model, last.sidecar if last else None, live=live)


def _summarise(store: Store, prefix: str, model: str | None, last: Sidecar | None, *, live: bool = False) -> None:
    file_last_tracks(store, prefix)
    if last is None or (is_live(last) and not live) or store.read(results_key(prefix)) is not None:
        return
    write_results(store, prefix, model or last.model)


def _end(found: Found, closing: Closing) -> Ending:
    last = found.resume.sidecar if found.resume else None
    usage = Usage(
        processed_frames=last.processed_frames if last else 0, processing_time_ms=last.elapsed_ms if last else 0
    )
    return Ending(closing.reason, usage, closing.error)


def _written(found: Found, closing: Closing, ending: Ending) -> tuple[bytes, Sidecar]:
    """The last segment and its sidecar."""
    end, resume = found.extent.end, found.resume
    info = resume.last.stream_info if resume else _NOTHING
    first = None if resume else closing.model
    document = terminal_chunk(chunk_id(closing.uid, closing.run), info, ending.reason, ending.usage, first)
    comment = log.error_comment(*ending.error) if ending.error else b""
    data = _interrupted(found, closing, info) + comment
    for event in (document, log.DONE):
        data += log.event(end + len(data), event)
    return data, _sidecar(found, closing)


def _interrupted(found: Found, closing: Closing, info: StreamInfo) -> bytes:
    """The event that tells the end of the tracks that were there last, where the log tells events."""
    tracks = found.resume.sidecar.tracks if found.resume else ()
    if not tracks:
        return b""
    ends = [track_end(one.model_copy(update={"interrupted": True})) for one in tracks]
    result: dict[str, object] = {"index": 0, "targets": [], "events": ends}
    return log.event(found.extent.end, chunk(chunk_id(closing.uid, closing.run), info, [result]))


def _sidecar(found: Found, closing: Closing) -> Sidecar:
    place = {"epoch": closing.epoch, "offset": found.extent.end}
    if found.resume is not None:
        return found.resume.sidecar.model_copy(update=place | {"tracks": ()})
    return Sidecar(frame_index=0, pts=0.0, highest_track_id=0, processed_frames=0, elapsed_ms=0, **place)
