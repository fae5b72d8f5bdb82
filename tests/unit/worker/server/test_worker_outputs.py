"""Best shots and events of a real worker, on real video, as receivers get them."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.archives import becomes
from tests.support.broker import PASSWORD, USER, Broker
from tests.support.cameras import CameraSimulator
from tests.support.receiver import Post, Receiver, receiving
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from videofleet_api.codes import OutputHealth
from videofleet_api.protocol import TERMINAL, JobState

ZONE = {"name": "everywhere", "polygon": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}, {"x": 0, "y": 1}]}


CORNER = {"polygon": [{"x": 0, "y": 0}, {"x": 0.1, "y": 0}, {"x": 0.1, "y": 0.1}, {"x": 0, "y": 0.1}]}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


def check_pictures(form: dict[str, bytes], shot: dict[str, Any]) -> None:
    """The object is where its box says, in the whole frame that comes along; what is private is black in that."""
    area, size = shot["area"], shot["frame"]
    photo, frame = (Image.open(io.BytesIO(form[name])).convert("L") for name in ("photo", "frame"))
    assert (photo.size, frame.size) == ((area["width"], area["height"]), (size["width"], size["height"]))
    left, top, right, bottom = shot["box"]
    assert 0 <= left < right <= size["width"]
    assert 0 <= top < bottom <= size["height"]
    place = (area["left"], area["top"], area["left"] + area["width"], area["top"] + area["height"])
    assert place[0] <= left < right <= place[2]
    assert place[1] <= top < bottom <= place[3]
    difference = np.asarray(frame.crop(place), int) - np.asarray(photo, int)
    assert np.abs(difference).mean() < 3
    assert np.asarray(frame)[:24, :24].max() < 16


def _events(posts: list[Post]) -> list[str]:
    return [post.json["event"] for post in posts]


@pytest.mark.acceptance("F82", "F83", "F85", "F86")
async def test_a_router_gets_the_best_shot_of_every_track_and_every_event(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, receiver: Receiver, uid: str
) -> None:
    router = {
        "url": receiver.url("/shots"),
        "eventsUrl": receiver.url("/events"),
        "headers": {"Authorization": "Bearer t0ken"},
        "body": {"camera": "entrance"},
    }
    outputs = {"router": router, "labels": {"site": "berlin"}}
    rules = {"zones": [ZONE], "privacyMasks": [CORNER]}
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=25, outputs=outputs, **rules))
    last = (await client.until(uid, TERMINAL))[-1]
    tracks = (await client.get(f"/v1/jobs/{uid}/results")).body["tracks"]
    shots = receiver.at("/shots")
    assert last.state is JobState.ENDED
    assert (last.progress.objects_posted, last.progress.objects_not_posted) == (len(tracks), 0)
    assert last.progress.outputs is OutputHealth.DELIVERED
    posted: dict[int, dict[str, Any]] = {}
    for post in shots:
        form, meta = post.form, _meta(post)
        posted[meta["shot"]["track_id"]] = meta
        check_pictures(form, meta["shot"])
        assert form["camera"] == b"entrance"
        assert post.headers["Authorization"] == "Bearer t0ken"
        assert post.headers["Idempotency-Key"] == f"{uid}/1/main/{meta['shot']['track_id']}/shot"
        assert meta["job"] == {
            "uid": uid, "namespace": "default", "name": f"name-of-{uid}", "labels": {"site": "berlin"}, "run": 1,
            "epoch": 1,
        }  # fmt: skip
    assert sorted(posted) == [track["track_id"] for track in tracks]
    assert {meta["track"]["class"] for meta in posted.values()} == {"person"}

    events = receiver.at("/events")
    for name in ("trackBegin", "zoneEnter", "trackEnd"):
        assert _events(events).count(name) == len(tracks), name
    keys = [post.headers["Idempotency-Key"] for post in events]
    assert len(set(keys)) == len(keys)
    sample = f'name="name-of-{uid}",namespace="default",output="router",uid="{uid}"'
    assert shared_worker.metric(f"videofleet_output_posted_total{{{sample}}}") == len(tracks)


async def test_webhooks_are_signed_filtered_and_told_which_tracks_are_there(
    client: WorkerClient, simulator: CameraSimulator, receiver: Receiver, uid: str
) -> None:
    ends = {"url": receiver.url("/ends"), "secret": "s3cret", "events": ["trackEnd"], "includeBestShots": True}
    ongoing = {"url": receiver.url("/ongoing"), "events": ["lineCross"], "interval": 1.0}
    entry = file_job(simulator.http("/vtest.mp4"), uid, maxFrames=25, outputs={"webhooks": [ends, ongoing]})
    await client.assign(entry)
    await client.until(uid, {JobState.ENDED})
    tracks = (await client.get(f"/v1/jobs/{uid}/results")).body["tracks"]
    posts = receiver.at("/ends")
    assert _events(posts) == ["trackEnd"] * len(tracks)
    for post in posts:
        jpeg = base64.b64decode(post.json["best_shot"])
        assert jpeg == (await client.get(f"/v1/jobs/{uid}/shots/{post.json['track']['track_id']}.jpg")).body
        assert post.headers["Videofleet-Signature"].startswith("t=")
    told = receiver.at("/ongoing")
    # 25 frames at 10 a second: after 1 and after 2 seconds.
    assert _events(told) == ["ongoing", "ongoing"]
    assert len(told[0].json["tracks"]) >= 3
    assert "Videofleet-Signature" not in told[0].headers


@pytest.mark.acceptance("F84")
async def test_a_receiver_that_hangs_stops_nothing(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, receiver: Receiver, uid: str
) -> None:
    outputs = {
        "router": {"url": receiver.url("/hang"), "timeout": 60},
        "webhooks": [{"url": receiver.url("/other")}, {"url": "http://169.254.169.254/latest"}],
    }
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=15, outputs=outputs))
    last = (await client.until(uid, TERMINAL))[-1]
    tracks = (await client.get(f"/v1/jobs/{uid}/results")).body["tracks"]
    assert (last.state, last.progress.processed_frames) == (JobState.ENDED, 15)
    assert (last.progress.objects_posted, last.progress.objects_not_posted) == (0, len(tracks))
    assert _events(receiver.at("/other")).count("trackEnd") == len(tracks)
    assert last.progress.outputs is OutputHealth.GIVEN_UP
    assert "webhook-1: 169.254.169.254 must not be reached" in (last.progress.outputs_message or "")
    sample = f'cause="forbidden",name="name-of-{uid}",namespace="default",output="webhook-1",uid="{uid}"'
    assert shared_worker.metric(f"videofleet_output_lost_total{{{sample}}}") == 2 * len(tracks)


async def test_receivers_change_while_a_camera_runs(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, receiver: Receiver, uid: str
) -> None:
    def entry(path: str, settings: str) -> Any:
        webhook = {"url": receiver.url(path), "interval": 0.5, "secret": "h1dden-value"}
        made = file_job(simulator.rtsp("/cam1"), uid, outputs={"webhooks": [webhook]}, singlePass=False)
        return made.model_copy(update={"settings": settings})

    await client.assign(entry("/one", "a"))
    await becomes(lambda: len(receiver.at("/one")) > 3, "the first one is told", 60)
    await client.assign(entry("/two", "b"))
    await becomes(lambda: len(receiver.at("/two")) > 3, "the second one is told", 60)
    epochs = {post.json["job"]["epoch"] for post in receiver.posts}
    assert epochs == {1}
    before = len(receiver.at("/one"))
    await becomes(lambda: len(receiver.at("/two")) > 8, "it is told more", 60)
    assert len(receiver.at("/one")) <= before + 1
    assert "h1dden-value" not in shared_worker.log()


async def test_events_are_published_to_a_broker(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, tmp_path: Path, uid: str
) -> None:
    with Broker(tmp_path, login=True) as broker:
        target = {"host": "127.0.0.1", "port": broker.port, "username": USER, "password": PASSWORD}
        mqtt = target | {"topic": "v/{name}/{analytics}/{event}", "includeBestShots": True, "events": ["trackEnd"]}
        outputs = {"mqtt": mqtt, "labels": {"site": "berlin"}}
        await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=25, outputs=outputs))
        last = (await client.until(uid, TERMINAL))[-1]
        tracks = (await client.get(f"/v1/jobs/{uid}/results")).body["tracks"]
        assert last.state is JobState.ENDED
        ends = broker.at(f"v/name-of-{uid}/main/trackEnd")
        assert len(ends) == len(broker.messages) == len(tracks)
        for end in ends:
            assert end.json["job"]["labels"] == {"site": "berlin"}
            jpeg = base64.b64decode(end.json["best_shot"])
            assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
        sample = f'name="name-of-{uid}",namespace="default",output="mqtt",uid="{uid}"'
        assert shared_worker.metric(f"videofleet_output_posted_total{{{sample}}}") == len(tracks)
    assert PASSWORD not in shared_worker.log()


def _meta(post: Post) -> dict[str, Any]:
    return dict(Post("", {}, post.form["meta"]).json)
