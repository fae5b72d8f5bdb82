"""What a log tells on a real worker: events and tracks instead of frames."""

import asyncio
import json
from typing import Any

from tests.support.archives import becomes
from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import chunks_of, frames_of
from videofleet_api.protocol import TERMINAL, Entry, JobState
from videofleet_api.results import Chunk, FiledTrack
from videofleet_archive.acquire import scan
from videofleet_archive.check import check_log
from videofleet_archive.store import FolderArchive
from videofleet_archive.tracks import read_tracks

Json = dict[str, Any]
STEPS = [
    {"model": "detect", "parameters": {"classes": ["person"]}},
    {"model": "track", "parameters": {"lostSeconds": 0.5}},
]
WATCHED: Json = {
    "analytics": [{"name": "main", "steps": STEPS}],
    "zones": [{"name": "square", "polygon": [{"x": 0.25, "y": 0.3}, {"x": 0.9, "y": 0.3}, {"x": 0.9, "y": 1}]}],
    "lines": [{"name": "down", "from": {"x": 0.5, "y": 0}, "to": {"x": 0.5, "y": 1}}],
}


def camera(simulator: CameraSimulator, uid: str, epoch: int, **more: Any) -> Entry:
    """A camera whose job says nothing about detail."""
    return file_job(simulator.rtsp("/cam1"), uid, epoch=epoch, singlePass=False, archiveDetail=None, **WATCHED, **more)


def told(chunks: list[Json], kind: str) -> list[Json]:
    """Every event of a kind."""
    results = (result for one in chunks for result in one["delta"]["results"])
    return [event for result in results for event in result["events"] if event["kind"] == kind]


async def until_told(client: WorkerClient, uid: str, kind: str, count: int) -> list[Json]:
    """The chunks from the oldest on, up to so many events of a kind."""
    data = b""
    async with asyncio.timeout(180):
        async for part in client.chunks(uid, "?offset=oldest"):
            data += part
            found = chunks_of(data.rpartition(b"\n\n")[0])
            if len(told(found, kind)) >= count:
                return found
    raise AssertionError("the log ended")


async def test_of_a_camera_events_and_tracks_are_kept_over_epochs(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(camera(simulator, uid, 1))
    await client.until(uid, {JobState.RUNNING})
    before = await until_told(client, uid, "track_end", 4)
    await client.assign(camera(simulator, uid, 2))
    await client.until(uid, {JobState.RUNNING})
    await until_told(client, uid, "track_end", len(told(before, "track_end")) + 3)

    # By the worker: the tracks that have ended, all or from a time on, as lines.
    answer = await client.get(f"/v1/jobs/{uid}/tracks")
    tracks = [FiledTrack.model_validate_json(line) for line in answer.body.splitlines()]
    half = tracks[len(tracks) // 2].last_time
    later = await client.get(f"/v1/jobs/{uid}/tracks?from={half}")
    listed = {json.loads(line)["track_id"] for line in later.body.splitlines()}
    assert listed >= {one.track_id for one in tracks if one.last_time >= half}
    assert not listed & {one.track_id for one in tracks if one.last_time < half}
    async for part in client.chunks(uid, f"?from={half}"):
        assert chunks_of(part)[0]["stream_info"]["capture_time"] >= half
        break
    await client.assign()

    # In the archive: what lies there keeps its laws, and says the same.
    store = FolderArchive(shared_worker.archive)
    prefix = f"default/{uid}/1/main"
    assert check_log(store, prefix) == []
    kept = list(read_tracks(store, prefix) or ())
    assert kept[: len(tracks)] == tracks
    data = b"".join(store.read(one.key) or b"" for one in store.listing(f"{prefix}/chunks"))
    chunks = chunks_of(data)
    assert all(Chunk.model_validate(one) for one in chunks)
    assert len(chunks) < frames_of(data)[-1] / 2, "most frames are not told"

    # Every track begins once and ends once; those that were there when the first epoch ended are interrupted.
    begun = [event["track_id"] for event in told(chunks, "track_begin")]
    ended = [event["track_id"] for event in told(chunks, "track_end")]
    assert len(begun) == len(set(begun))
    assert len(ended) == len(set(ended))
    assert ended == [one.track_id for one in kept]
    first, second = map(chunks_of, data.split(b": epoch 2 by "))
    there = {event["track_id"] for event in told(first, "track_begin")} - {
        event["track_id"] for event in told(first, "track_end")
    }
    assert {one.track_id for one in kept if one.interrupted} == there
    assert max(event["track_id"] for event in told(first, "track_begin")) < min(
        event["track_id"] for event in told(second, "track_begin")
    )
    assert any(one.best_shot == f"shots/{one.track_id}.jpg" for one in kept)

    # Totals go on.
    results = [one["delta"]["results"][0] for one in chunks]
    for kind, field in (
        ("zones", "entered"),
        ("zones", "left"),
        ("lines", "left_to_right"),
        ("lines", "right_to_left"),
    ):
        values = [sum(result[kind][0][field].values()) for result in results]
        assert values == sorted(values), field
    assert results[-1]["zones"][0]["entered"].get("person", 0) == len(told(chunks, "zone_enter"))

    # Who asks for what is kept no longer is told from where on there is something.
    await client.assign(camera(simulator, uid, 3, archiveMaxBytes=1))
    await becomes(lambda: scan(store, prefix).start > 0, "the oldest is dropped", 180)
    refused = await client.get(f"/v1/jobs/{uid}/chunks?offset=0")
    assert (refused.status, refused.body["code"]) == (410, "BELOW_HORIZON")
    assert refused.body["oldest"] > 0
    async for part in client.chunks(uid, "?offset=oldest"):
        assert chunks_of(part)
        break


async def test_a_file_whose_log_tells_events_has_the_same_summary(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    summaries = []
    for detail in ("frames", "events"):
        entry = file_job(simulator.http("/vtest.mp4"), f"{uid}-{detail}", maxFrames=40, archiveDetail=detail, **WATCHED)
        await client.assign(entry)
        assert (await client.until(entry.uid, TERMINAL))[-1].state is JobState.ENDED
        summaries.append((await client.get(f"/v1/jobs/{entry.uid}/results")).body)
        assert check_log(FolderArchive(shared_worker.archive), f"default/{entry.uid}/1/main") == []
    for field in ("tracks", "zones", "lines", "finish_reason"):
        assert summaries[0][field] == summaries[1][field]
    assert len(chunks_of(await client.log(f"{uid}-events"))) < 40
    assert (await client.get(f"/v1/jobs/{uid}-events/tracks")).status == 200
    refused = file_job(simulator.http("/vtest.mp4"), f"{uid}-plain", maxFrames=1)
    await client.assign(refused)
    await client.until(refused.uid, TERMINAL)
    answer = await client.get(f"/v1/jobs/{refused.uid}/tracks")
    assert (answer.status, answer.body["code"]) == (404, "NO_TRACKS")
