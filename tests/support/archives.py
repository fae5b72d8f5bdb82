"""Logs of results for tests: a writer's surroundings, stores with faults, and a look at what lies in a log."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from videofleet_api.results import TrackRecord
from videofleet_archive import log
from videofleet_archive.acquire import scan
from videofleet_archive.errors import ArchiveError
from videofleet_archive.opening import OwnedLog, own_log, see_log
from videofleet_archive.store import ObjectArchive, SealTimes, Store, StoredObject
from videofleet_archive.threads import StoreThreads
from videofleet_archive.tracks import track_end
from videofleet_archive.view import LogView
from videofleet_archive.writer import LogWriter, Mark, SealPolicy, boot_seconds

PREFIX = "default/job-1/1/main"
AT_ONCE = SealPolicy(seconds=0.0)


@dataclass
class CountedCalls:
    """What a writer reported."""

    sealed_bytes: int = 0
    failures: int = 0
    losses: int = 0

    def sealed(self, size: int) -> None:
        self.sealed_bytes += size

    def store_failed(self) -> None:
        self.failures += 1

    def lost(self) -> None:
        self.losses += 1


@dataclass
class FaultyStore:
    """A real store whose calls can be made to fail, before or after they took effect.

    `fault` gets the name of the method and the key; it raises what the caller should see. `late` means that the call
    has taken effect already: an answer that is lost.
    """

    real: Store
    fault: Callable[[str, str, bool], None] = lambda method, key, late: None
    calls: list[tuple[str, str]] = field(default_factory=list)

    @property
    def seals(self) -> SealTimes:
        return self.real.seals

    def _around(self, method: str, key: str, call: Callable[[], Any]) -> Any:
        self.calls.append((method, key))
        self.fault(method, key, False)
        answer = call()
        self.fault(method, key, True)
        return answer

    def create(self, key: str, data: bytes) -> bool:
        return bool(self._around("create", key, lambda: self.real.create(key, data)))

    def replace(self, key: str, data: bytes) -> None:
        self._around("replace", key, lambda: self.real.replace(key, data))

    def read(self, key: str) -> bytes | None:
        found: bytes | None = self._around("read", key, lambda: self.real.read(key))
        return found

    def read_range(self, key: str, start: int, end: int) -> bytes | None:
        found: bytes | None = self._around("read", key, lambda: self.real.read_range(key, start, end))
        return found

    def folders(self, prefix: str) -> list[str]:
        found: list[str] = self._around("listing", prefix, lambda: self.real.folders(prefix))
        return found

    def listing(self, prefix: str) -> list[StoredObject]:
        found: list[StoredObject] = self._around("listing", prefix, lambda: self.real.listing(prefix))
        return found

    def delete(self, keys: list[str]) -> None:
        self._around("delete", ",".join(keys), lambda: self.real.delete(keys))

    def remove(self, prefix: str) -> int:
        return int(self._around("remove", prefix, lambda: self.real.remove(prefix)))


class Away:
    """A fault: the store is away until `back`."""

    def __init__(self) -> None:
        self.away = True

    def back(self) -> None:
        self.away = False

    def __call__(self, method: str, key: str, late: bool) -> None:
        if self.away:
            raise ArchiveError("the store is away")


@dataclass
class Silent:
    """A fault: the store answers nothing until `back`."""

    asked: bool = False
    _back: threading.Event = field(default_factory=threading.Event)

    def back(self) -> None:
        self._back.set()

    def __call__(self, method: str, key: str, late: bool) -> None:
        if not late:
            self.asked = True
            assert self._back.wait(60)


async def becomes(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Until `holds()` is true, on the event loop; AssertionError saying `what` was awaited after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"still not so after {seconds:.1f} s: {what}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def threads_over(store: Store | None = None) -> AsyncIterator[StoreThreads]:
    """A store (one in memory without another) and threads for it."""
    with ThreadPoolExecutor(4) as executor:
        yield StoreThreads(store or ObjectArchive.in_memory(), executor)


async def open_epoch(
    threads: StoreThreads,
    epoch: int,
    owner: str | None = None,
    policy: SealPolicy = AT_ONCE,
    counters: CountedCalls | None = None,
    clock: Callable[[], float] = boot_seconds,
) -> OwnedLog:
    """Own the log as an epoch."""
    view = (await see_log(threads, PREFIX)).view
    return await own_log(view, epoch, owner or f"owner-{epoch}", policy, counters or CountedCalls(), clock)


async def open_writer(threads: StoreThreads, epoch: int, **options: Any) -> LogWriter:
    """Own the log as an epoch that has something to write."""
    opened = await open_epoch(threads, epoch, **options)
    assert opened.writer is not None
    return opened.writer


async def stored_view(threads: StoreThreads) -> LogView:
    """What lies in the log now; nobody adds anything to it."""
    view = (await see_log(threads, PREFIX)).view
    await view.close()
    return view


def chunk(frame: int, track_ids: tuple[int, ...] = (), **end: object) -> bytes:
    """A chunk document of a frame."""
    targets = [
        {"track_id": one, "class": "person", "confidence": 0.5, "roi": {"left": 0, "top": 0, "width": 9, "height": 9}}
        for one in track_ids
    ]
    document = {
        "id": "job-1-1",
        "object": "mm.pipeline.chunk",
        "stream_info": {
            "frame_index": frame,
            "total_frames": 100,
            "decoded_frames": frame + 1,
            "dropped_frames": 0,
            "fps": 10.0,
            "elapsed_ms": 40 * frame,
            "pts": frame / 10,
            "capture_time": captured(frame),
        },
        "delta": {"results": [{"index": 0, "targets": targets}]},
        "finish_reason": None,
    }
    return json.dumps(document | end, separators=(",", ":")).encode()


def terminal(frame: int, reason: str = "stop") -> bytes:
    """The last chunk of a run."""
    return chunk(frame, finish_reason=reason, usage={"processed_frames": frame + 1, "processing_time_ms": 40 * frame})


def ended(frame: int, *track_ids: int) -> bytes:
    """A chunk of a live source that tells events: in this frame these tracks have ended."""
    events = [track_end(track(one, frame)) for one in track_ids]
    told = chunk(frame, delta={"results": [{"index": 0, "targets": [], "events": events}]})
    return told.replace(b'"total_frames":100', b'"total_frames":null')


def track(track_id: int, frame: int) -> TrackRecord:
    """A track that was seen last in this frame."""
    document = {"track_id": track_id, "class": "person", "best_confidence": 0.5, "frames_seen": 1}
    where = {"first_frame": frame, "last_frame": frame, "first_time": captured(frame), "last_time": captured(frame)}
    return TrackRecord.model_validate(document | where | {"roi": {"left": 0, "top": 0, "width": 9, "height": 9}})


def captured(frame: int) -> float:
    """Unix time of a frame; there are 36,000 an hour, the first 28,000 of them in one."""
    return 1_700_000_000 + frame / 10


def mark(frame: int, highest_track_id: int = 0, *there: int, live: bool = False) -> Mark:
    """Where the stream is after a frame, and the tracks that are there, where it tells events."""
    tracks = tuple(track(one, frame) for one in there)
    arrival = captured(frame) if live else None
    where = (frame, frame / 10, highest_track_id, frame + 1, 40 * frame)
    return Mark(*where, arrival=arrival, tracks=tracks, capture_time=captured(frame))


async def write_frames(writer: LogWriter, frames: range) -> None:
    """One event a frame."""
    for frame in frames:
        await writer.append(chunk(frame), mark(frame))


def stored_log(store: Store, prefix: str = PREFIX) -> bytes:
    """All bytes of the log that lie in the store, contiguous from the horizon."""
    parts = (store.read(segment.key(prefix)) for segment in scan(store, prefix).segments)
    return b"".join(part for part in parts if part is not None)


def frames_of(data: bytes) -> list[int]:
    """The frame of every event in a log, the terminal one left out."""
    documents = [json.loads(one) for one in log.documents(data)]
    return [one["stream_info"]["frame_index"] for one in documents if one["finish_reason"] is None]


def ids_of(data: bytes) -> list[int]:
    """The ids of the events in a log."""
    lines = data.split(b"\n")
    return [int(line.removeprefix(b"id: ")) for line in lines if line.startswith(b"id: ")]


def ends_of_events(data: bytes, start: int = 0) -> list[int]:
    """Offsets behind the blank line of each event, comments left out; `data` begins at offset `start`."""
    ends, at = [], start
    for block in data.split(b"\n\n")[:-1]:
        at += len(block) + 2
        if b"\nid: " in block:
            ends.append(at)
    return ends
