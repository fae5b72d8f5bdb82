"""Sampling on a real worker: which frames are analysed, and what its metrics tell of those that are not."""

from typing import Any

import pytest

from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import frames_of
from videofleet_api.protocol import TERMINAL, JobState

FRAMES = 795


def told(worker: WorkerProcess, uid: str, name: str, **more: str) -> float:
    """A metric of a job."""
    labels = {"name": f"name-of-{uid}", "namespace": "default", "uid": uid, **more}
    pairs = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
    return worker.metric(f"videofleet_{name}{{{pairs}}}")


@pytest.mark.parametrize(
    ("wish", "strategy", "least", "most"),
    [
        pytest.param("auto", "needed", 33, 400, id="what is needed"),
        pytest.param("all", "all", FRAMES, FRAMES, id="everything, as asked for"),
        pytest.param("keyframes", "keyframes", 32, 32, id="keyframes alone, as asked for"),
    ],
)
async def test_what_is_decoded_is_told_and_can_be_said(
    client: WorkerClient,
    shared_worker: WorkerProcess,
    simulator: CameraSimulator,
    uid: str,
    wish: str,
    strategy: str,
    least: int,
    most: int,
) -> None:
    sampling = {"mode": "fps", "value": 0.4, "decode": wish}
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, sampling=sampling))
    last = (await client.until(uid, TERMINAL))[-1]

    assert last.state is JobState.ENDED, last.message
    analysed = frames_of(await client.log(uid))
    decoded, passed = (told(shared_worker, uid, f"frames_{what}_total") for what in ("decoded", "passed"))
    assert told(shared_worker, uid, "decode_strategy_info", strategy=strategy) == 1
    assert least <= decoded <= most
    assert decoded + passed == FRAMES
    assert told(shared_worker, uid, "frames_processed_total") == len(analysed)
    assert told(shared_worker, uid, "frames_dropped_total", cause="sampling") == FRAMES - len(analysed)
    assert last.progress.dropped_frames == {"sampling": FRAMES - len(analysed)}


@pytest.mark.parametrize(
    ("spec", "frames"),
    [
        pytest.param({"range": {"start": 3, "end": 4}}, range(30, 40), id="seconds"),
        pytest.param({"range": {"start": 30, "end": 40, "unit": "frames"}}, range(30, 40), id="frames"),
        pytest.param({"range": {"start": 3}, "maxFrames": 4}, range(30, 34), id="seconds, and no more than so many"),
        pytest.param(
            {"range": {"start": 30, "end": 60, "unit": "frames"}, "sampling": {"mode": "interval", "value": 8}},
            range(30, 60, 8),
            id="every eighth of some",
        ),
        pytest.param(
            {"range": {"start": 790, "unit": "frames"}, "maxFrames": 100}, range(790, FRAMES), id="fewer than the most"
        ),
        pytest.param(
            {"range": {"start": 1, "end": 9}, "sampling": {"mode": "fps", "value": 2}, "maxFrames": 3},
            (10, 15, 20),
            id="all three",
        ),
    ],
)
async def test_a_part_a_sample_of_it_and_no_more_than_so_many(
    client: WorkerClient, simulator: CameraSimulator, uid: str, spec: dict[str, Any], frames: range
) -> None:
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, **spec))
    last = (await client.until(uid, TERMINAL))[-1]

    assert last.state is JobState.ENDED, last.message
    assert frames_of(await client.log(uid)) == list(frames)
    result = (await client.get(f"/v1/jobs/{uid}/results")).body
    reached = spec.get("maxFrames") == len(frames)
    assert result["finish_reason"] == ("max_frames" if reached else "stop")
