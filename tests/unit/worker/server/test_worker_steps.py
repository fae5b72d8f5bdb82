"""Steps on a real worker: faces, vectors and writing in recorded clips, with the real weights."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.cameras import CameraSimulator
from tests.support.scenes import ASTRONAUT_FACE, astronaut, canvas, clip, overlap, write
from tests.support.worker_client import WorkerClient, file_job
from tests.unit.worker.decode.webserver import Page, WebServer, serving
from tests.unit.worker.server.conftest import chunks_of
from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_api.results import RunResult, Target

FRAMES = 6
SIDE, LEFT, TOP = 640, 600, 80
FACE = tuple(round(side * SIDE / 512) + at for side, at in zip(ASTRONAUT_FACE, (LEFT, TOP, LEFT, TOP), strict=True))


@pytest.fixture(scope="module")
def web() -> Iterator[WebServer]:
    picture = canvas()
    picture.paste(astronaut().resize((SIDE, SIDE)), (LEFT, TOP))
    write(picture, "Gate 42 closes 17:40", 80, 200)
    write(picture, "ENTRANCE", 80, 420)
    with serving() as server:
        server.pages["/astronaut.mp4"] = Page(clip(*[picture] * FRAMES))
        yield server


async def targets_of(
    client: WorkerClient, web: WebServer, uid: str, *steps: dict[str, Any], **spec: Any
) -> list[list[Target]]:
    """What a job with these steps tells of each frame of the clip."""
    analytics = [{"name": "main", "steps": list(steps)}]
    await client.assign(file_job(web.url("/astronaut.mp4"), uid, analytics=analytics, **spec))
    last = (await client.until(uid, TERMINAL))[-1]
    assert last.state is JobState.ENDED, last.message
    chunks = [one for one in chunks_of(await client.log(uid)) if one["finish_reason"] is None]
    return [[Target.model_validate(one) for one in chunk["delta"]["results"][0]["targets"]] for chunk in chunks]


def corners(target: Target) -> tuple[int, int, int, int]:
    roi = target.roi
    return roi.left, roi.top, roi.left + roi.width, roi.top + roi.height


def vector(target: Target) -> np.ndarray[Any, np.dtype[np.float32]]:
    assert target.feature is not None
    return np.frombuffer(base64.b64decode(target.feature), "<f4")


async def test_faces_are_found_in_whole_frames_followed_and_given_a_vector(
    client: WorkerClient, web: WebServer, uid: str
) -> None:
    frames = await targets_of(client, web, uid, {"model": "face"}, {"model": "feature"}, {"model": "track"})
    assert len(frames) == FRAMES
    for targets in frames:
        (face,) = targets
        assert (face.class_, face.track_id) == ("face", 1)
        assert overlap(corners(face), FACE) > 0.6
        assert vector(face).shape == (128,)
    first, last = vector(frames[0][0]), vector(frames[-1][0])
    assert np.linalg.norm(first - last) < 0.3
    result = RunResult.model_validate((await client.get(f"/v1/jobs/{uid}/results")).body)
    (track,) = result.tracks
    norms = [f"dim=128;norm={np.linalg.norm(vector(targets[0])):.4f}" for targets in frames]
    assert track.feature_digest in norms


@pytest.mark.acceptance("V46")
async def test_faces_inside_people_name_them_and_what_when_refuses_passes_unchanged(
    client: WorkerClient, web: WebServer, uid: str
) -> None:
    frames = await targets_of(
        client,
        web,
        uid,
        {"model": "detect", "parameters": {"classes": ["person"]}},
        {"model": "track"},
        {"model": "face", "when": {"classIs": ["pedestrian"], "minConfidence": 0.4}},
        {"model": "feature", "when": {"classIs": ["face"]}},
    )
    for targets in frames:
        person, face = targets
        assert (person.class_, face.class_) == ("person", "face")
        assert person.feature is None
        assert overlap(corners(face), FACE) > 0.6
        assert vector(face).shape == (128,)
    # The track comes before the faces: the person has a number, the face names it.
    assert {(person.track_id, face.track_id, face.parent_track_id) for person, face in frames} == {(1, None, 1)}


async def test_a_step_that_looks_at_nothing_changes_nothing(client: WorkerClient, web: WebServer, uid: str) -> None:
    frames = await targets_of(
        client, web, uid, {"model": "detect"}, {"model": "face", "when": {"classIs": ["dog"]}}, {"model": "track"}
    )
    assert all("face" not in {one.class_ for one in targets} for targets in frames)
    assert any(targets for targets in frames)


@pytest.mark.acceptance("V67", "V77")
async def test_many_objects_of_a_real_clip_each_get_a_vector(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    steps = [
        {"model": "detect", "parameters": {"classes": ["person"]}},
        {"model": "track"},
        {"model": "feature", "when": {"minConfidence": 0.5}},
        {"model": "face"},
    ]
    analytics = [{"name": "main", "steps": steps}]
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=6, analytics=analytics))
    last = (await client.until(uid, TERMINAL))[-1]
    assert last.state is JobState.ENDED, last.message
    chunks = [one for one in chunks_of(await client.log(uid)) if one["finish_reason"] is None]
    found = [Target.model_validate(one) for chunk in chunks for one in chunk["delta"]["results"][0]["targets"]]
    people = [one for one in found if one.class_ == "person"]
    assert len(people) > 15
    for one in people:
        assert (one.feature is not None) == (one.confidence >= 0.5)
    assert len({one.feature for one in people if one.feature is not None}) > 10
    tracks = RunResult.model_validate((await client.get(f"/v1/jobs/{uid}/results")).body).tracks
    assert any((track.feature_digest or "").startswith("dim=128;norm=") for track in tracks)


@pytest.mark.acceptance("V67")
async def test_writing_in_whole_frames_is_read(client: WorkerClient, web: WebServer, uid: str) -> None:
    frames = await targets_of(client, web, uid, {"model": "ocr"})
    for targets in frames:
        texts = {one.text for one in targets}
        assert {"Gate 42 closes 17:40", "ENTRANCE"} <= texts
        assert all(one.class_ == "text" for one in targets)


@pytest.mark.parametrize("mode", ["black", "blur"])
async def test_no_step_sees_what_is_under_a_mask(client: WorkerClient, web: WebServer, uid: str, mode: str) -> None:
    """Steps that cut from the frame at full resolution, the first one among them."""
    masks = [_mask(FACE, mode), _mask((60, 180, 560, 260), mode)]
    faces = await targets_of(client, web, f"{uid}-face", {"model": "face"}, privacyMasks=masks)
    assert faces == [[]] * FRAMES
    inside = await targets_of(
        client,
        web,
        f"{uid}-inside",
        {"model": "detect", "parameters": {"classes": ["person"], "confidence": 0.1}},
        {"model": "face", "when": {"classIs": ["person"]}},
        privacyMasks=masks,
    )
    assert {one.class_ for targets in inside for one in targets} == {"person"}, "who is not covered is still found"
    texts = {
        one.text
        for targets in await targets_of(client, web, uid, {"model": "ocr"}, privacyMasks=masks)
        for one in targets
    }
    assert texts == {"ENTRANCE"}


def _mask(box: tuple[int, ...], mode: str) -> dict[str, Any]:
    left, top, right, bottom = box[0] / 1280, box[1] / 720, box[2] / 1280, box[3] / 720
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return {"polygon": [{"x": x, "y": y} for x, y in corners], "mode": mode}


@pytest.mark.parametrize(
    ("steps", "code", "words"),
    [
        ([{"model": "detect"}, {"model": "facce"}], ErrorCode.UNKNOWN_MODEL, ["facce", "face"]),
        (
            [{"model": "detect"}, {"model": "ocr", "when": {"classIs": ["trukc"]}}],
            ErrorCode.BAD_PARAMETER,
            ["trukc", "truck", "ocr"],
        ),
        ([{"model": "face-resnet-128"}], ErrorCode.BAD_PARAMETER, ["face-resnet-128", "first step"]),
    ],
)
async def test_steps_that_cannot_run_are_refused(
    steps: list[object], code: ErrorCode, words: list[str], client: WorkerClient, web: WebServer, uid: str
) -> None:
    analytics = [{"name": "main", "steps": steps}]
    await client.assign(file_job(web.url("/astronaut.mp4"), uid, analytics=analytics))
    last = (await client.until(uid, TERMINAL))[-1]
    assert (last.state, last.code) == (JobState.REFUSED, code)
    for word in words:
        assert word in (last.message or "")
