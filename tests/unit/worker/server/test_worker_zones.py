"""Zones and lines on a real worker: in its results, over edits and epochs."""

import io
from collections import Counter
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests.support.cameras import CameraSimulator
from tests.support.programs import REPOSITORY
from tests.support.worker_client import WorkerClient, file_job
from tests.unit.worker.server.conftest import chunks_of
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_api.results import Chunk, RunResult

Json = dict[str, Any]


def polygon(*corners: tuple[float, float]) -> list[Json]:
    return [{"x": x, "y": y} for x, y in corners]


SQUARE: Json = {"name": "square", "polygon": polygon((0.25, 0.25), (1, 0.25), (1, 1), (0.25, 1))}
DOWN: Json = {"name": "down", "from": {"x": 0.5, "y": 0}, "to": {"x": 0.5, "y": 1}}


def results_of(data: bytes) -> list[Json]:
    """The result of each frame."""
    return [chunk["delta"]["results"][0] for chunk in chunks_of(data) if chunk["finish_reason"] is None]


def count(results: list[Json], kind: str) -> int:
    """How often something happened."""
    return sum(event["kind"] == kind for result in results for event in result["events"])


async def test_events_and_counts_are_in_the_results_and_add_up(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    zone = SQUARE | {"minDwell": 2, "classes": ["pedestrian"]}
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=100, zones=[zone], lines=[DOWN]))
    assert (await client.until(uid, TERMINAL))[-1].state is JobState.ENDED
    data = await client.log(uid)
    for document in chunks_of(data):
        Chunk.model_validate(document)
    results = results_of(data)
    inside: set[int] = set()
    for result in results:
        for event in result["events"]:
            if event["kind"] in ("zone_enter", "zone_leave"):
                inside ^= {event["track_id"]}
        assert result["zones"][0]["inside"] == ({"person": len(inside)} if inside else {})
    last = results[-1]
    assert count(results, "zone_enter") == last["zones"][0]["entered"]["person"] >= 5
    assert count(results, "zone_leave") == sum(last["zones"][0]["left"].values())
    assert count(results, "zone_dwell") >= 3
    crossings = Counter(
        event["direction"] for result in results for event in result["events"] if event["kind"] == "line_cross"
    )
    line = last["lines"][0]
    assert crossings["leftToRight"] == line["left_to_right"].get("person", 0)
    assert crossings["rightToLeft"] == line["right_to_left"].get("person", 0)
    assert sum(crossings.values()) >= 1
    summary = RunResult.model_validate((await client.get(f"/v1/jobs/{uid}/results")).body)
    assert summary.zones is not None
    assert [one.model_dump() for one in summary.zones] == last["zones"]
    assert summary.lines is not None
    assert [one.model_dump() for one in summary.lines] == last["lines"]
    snapshot = await client.get(f"/v1/jobs/{uid}/snapshot.jpg")
    picture = np.asarray(Image.open(io.BytesIO(snapshot.body)).convert("RGB")).astype(int)
    # The zone's left side is white over most of its height, the line yellow.
    side, crossed = picture[200:560, 190:194].max(axis=1), picture[20:560, 382:386]
    assert (side.min(axis=1) > 200).mean() > 0.8
    assert ((crossed[..., 0] > 180) & (crossed[..., 1] > 180) & (crossed[..., 2] < 110)).any(axis=1).mean() > 0.8


async def test_without_zones_and_lines_results_are_as_they_always_were(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=3))
    await client.until(uid, TERMINAL)
    assert {key for result in results_of(await client.log(uid)) for key in result} == {"index", "targets"}
    assert not (await client.get(f"/v1/jobs/{uid}/results")).body.keys() & {"zones", "lines"}


async def test_a_next_epoch_goes_on_counting(client: WorkerClient, simulator: CameraSimulator, uid: str) -> None:
    spec: Json = {"zones": [SQUARE], "lines": [DOWN], "maxFrames": 80}
    url = simulator.http("/vtest.mp4")
    await client.assign(file_job(url, uid, **spec))
    await client.until(uid, {JobState.RUNNING})
    # Closing seals what there is.
    await client.assign()
    await client.assign(file_job(url, uid, epoch=2, **spec))
    assert (await client.until(uid, TERMINAL))[-1].state is JobState.ENDED
    data = await client.log(uid)
    assert data.count(b": epoch ") == 2
    results = results_of(data)
    assert len(results) == 80
    for field in ("entered", "left"):
        values = [result["zones"][0][field].get("person", 0) for result in results]
        assert values == sorted(values), field
    for field in ("left_to_right", "right_to_left"):
        values = [result["lines"][0][field].get("person", 0) for result in results]
        assert values == sorted(values), field
    (zone,) = results[-1]["zones"]
    assert zone["inside"].get("person", 0) == zone["entered"]["person"] - zone["left"].get("person", 0)
    # About ten people are in the picture all the time: nobody is counted again.
    assert zone["entered"]["person"] - results[0]["zones"][0]["entered"]["person"] < 10


async def test_zones_change_while_a_stream_runs(client: WorkerClient, simulator: CameraSimulator, uid: str) -> None:
    base = file_job(simulator.http("/vtest.mp4"), uid, maxFrames=120)

    def settled(settings: str, **regions: Any) -> Any:
        assert base.spec is not None
        spec = type(base.spec).model_validate(base.spec.wire() | regions)
        return base.model_copy(update={"settings": settings, "spec": spec})

    await client.assign(settled("none"))
    reports = await client.until(uid, {JobState.RUNNING})
    await client.assign(settled("square", zones=[SQUARE], lines=[DOWN]))
    reports += await client.until(uid, TERMINAL)
    assert (reports[-1].state, reports[-1].settings) == (JobState.ENDED, "square")
    results = results_of(data := await client.log(uid))
    assert data.count(b": epoch ") == 1
    watched = ["zones" in result for result in results]
    first = watched.index(True)
    assert first > 0
    assert all(watched[first:])
    assert results[first]["zones"][0]["entered"].get("person", 0) >= 1, "who is there has entered"
    ids = [{target.get("track_id") for target in result["targets"]} for result in results]
    assert ids[first - 1] & ids[first], "tracks go on"


async def test_the_example_counts(client: WorkerClient, simulator: CameraSimulator, uid: str) -> None:
    spec = yaml.safe_load((REPOSITORY / "examples" / "zones.yaml").read_text())["spec"]
    watched = {name: spec[name] for name in ("analytics", "zones", "lines", "privacyMasks")}
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=200, **watched))
    assert (await client.until(uid, TERMINAL))[-1].state is JobState.ENDED
    results = results_of(await client.log(uid))
    assert min(count(results, kind) for kind in ("zone_enter", "zone_leave", "line_cross")) >= 1


async def test_a_class_that_no_model_has_is_refused(client: WorkerClient, simulator: CameraSimulator, uid: str) -> None:
    zones = [SQUARE | {"classes": ["persn"]}]
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, zones=zones))
    last = (await client.until(uid, TERMINAL))[-1]
    assert (last.state, last.code) == (JobState.REFUSED, ErrorCode.BAD_PARAMETER)
    for word in ("square", "persn", "person"):
        assert word in (last.message or "")
