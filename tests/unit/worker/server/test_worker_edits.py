"""Settings that change while a stream runs: the same epoch, the same log, the next frame."""

from typing import Any

from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, file_job
from tests.unit.worker.server.conftest import chunks_of, frames_of
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import TERMINAL, Entry, JobReport, JobState


def thresholds(url: str, uid: str, settings: str, **parameters: Any) -> Entry:
    """A job that detects and tracks people with these parameters."""
    steps = [{"model": "detect", "parameters": parameters}, {"model": "track"}]
    job = file_job(url, uid, maxFrames=100, analytics=[{"name": "main", "steps": steps}])
    return job.model_copy(update={"settings": settings})


async def edited_in_the_middle(client: WorkerClient, before: Entry, after: Entry) -> list[JobReport]:
    """The reports of a job whose settings are changed once its first frames are there."""
    await client.assign(before)
    reports = await client.until(before.uid, {JobState.RUNNING})
    await client.assign(after)
    return reports + await client.until(before.uid, TERMINAL)


async def test_a_raised_confidence_finds_less_from_the_next_frame_on(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    url = simulator.http("/vtest.mp4")
    before, after = (
        thresholds(url, uid, "low", confidence=0.3, classes=["person"]),
        thresholds(url, uid, "high", confidence=0.75, classes=["person"]),
    )
    reports = await edited_in_the_middle(client, before, after)
    assert (reports[-1].state, reports[-1].settings) == (JobState.ENDED, "high")
    in_force = [each.settings for each in reports if each.settings is not None]
    assert in_force == sorted(in_force, key=["low", "high"].index), "first the one, then the other"

    data = await client.log(uid)
    assert frames_of(data) == list(range(100))
    assert data.count(b": epoch ") == 1
    lowest = [_confidences(chunk) for chunk in chunks_of(data)[:-1]]
    weak = [index for index, found in enumerate(lowest) if min(found, default=1.0) < 0.75]
    assert weak, "the first settings let weaker objects through"
    changed = max(weak) + 1
    assert changed < 90, "the last frames show strong objects only"
    assert sum(map(len, lowest[:changed])) / changed > sum(map(len, lowest[changed:])) / (100 - changed)
    ids = [_tracks(chunk) for chunk in chunks_of(data)[:-1]]
    assert ids[changed] & set().union(*ids[:changed]), "who was tracked before is tracked on"


async def test_settings_that_cannot_be_applied_end_the_job_as_they_would_at_its_start(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    url = simulator.http("/vtest.mp4")
    before, after = thresholds(url, uid, "good"), thresholds(url, uid, "bad", classes=["persn"])
    last = (await edited_in_the_middle(client, before, after))[-1]
    assert (last.state, last.code, last.settings) == (JobState.REFUSED, ErrorCode.BAD_PARAMETER, "good")
    assert "persn" in (last.message or "")


async def test_another_when_chooses_from_the_next_frame_on(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    def followed(settings: str, kind: str) -> Entry:
        steps = [{"model": "detect"}, {"model": "track", "when": {"classIs": [kind]}}]
        url = simulator.http("/vtest.mp4")
        job = file_job(url, uid, maxFrames=60, analytics=[{"name": "main", "steps": steps}])
        return job.model_copy(update={"settings": settings})

    reports = await edited_in_the_middle(client, followed("people", "person"), followed("dogs", "dog"))
    assert (reports[-1].state, reports[-1].settings) == (JobState.ENDED, "dogs")
    chunks = chunks_of(await client.log(uid))[:-1]
    tracked = [bool(_tracks(chunk)) for chunk in chunks]
    assert tracked[0]
    assert not tracked[-1]
    assert tracked == sorted(tracked, reverse=True), "first people are followed, then nobody is"
    assert all(_targets(chunk) for chunk in chunks), "what is not followed passes through"


async def test_settings_without_their_spec_are_asked_for_and_the_stream_goes_on(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    before = thresholds(simulator.http("/vtest.mp4"), uid, "low")
    await client.assign(before)
    answer = await client.assign(before.model_copy(update={"settings": "high", "spec": None}))
    assert answer.body == {"need": [uid]}
    last = (await client.until(uid, TERMINAL))[-1]
    assert (last.state, last.settings) == (JobState.ENDED, "low")


def _targets(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    return [target for result in chunk["delta"]["results"] for target in result["targets"]]


def _confidences(chunk: dict[str, Any]) -> list[float]:
    return [target["confidence"] for target in _targets(chunk)]


def _tracks(chunk: dict[str, Any]) -> set[int]:
    return {target["track_id"] for target in _targets(chunk) if "track_id" in target}
