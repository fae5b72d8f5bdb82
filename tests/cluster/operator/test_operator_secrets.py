"""Secrets that jobs name: waited for, handed to workers, and shown to nobody."""

import json

from tests.cluster.operator.conftest import Replicas, Shared
from tests.cluster.operator.harness import JOBS, SECRETS, World, eventually
from tests.support.kubectl import conditions
from tests.support.simulated_worker import fail, first_frame
from videofleet_api.codes import ErrorCode

PASSWORD = "correct-horse-battery"
NAMED = {"source": {"url": "rtsp://camera.example/1", "credentialsSecretRef": {"name": "login"}}}


async def test_a_missing_secret_is_told_and_heals_when_it_appears(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", **NAMED)
    waiting = await world.until("camera", "AWAITING", "SecretMissing")
    assert "Secret login (spec.source.credentialsSecretRef)" in waiting["message"]
    assert conditions(waiting)["Scheduled"] == "False"
    assert (await world.until_event("camera", "SecretMissing"))["type"] == "Warning"
    await world.secret("login", username="viewer", password=PASSWORD)
    await eventually(lambda: "camera" in world.worker().assigned, "it starts")
    source = world.worker().spec("camera").spec.source
    assert (source.username, source.password) == ("viewer", PASSWORD)
    await world.until("camera", "INPROGRESS")
    await world.api.delete(SECRETS, world.namespace, "login")


async def test_a_job_whose_secret_is_there_is_placed_in_one_write(world: World) -> None:
    await world.secret("address", url="rtsp://viewer:hidden-in-url@camera.example/2?token=abc\n")
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", source={"urlSecretRef": {"name": "address", "key": "url"}})
    status = await world.until("camera", "INPROGRESS")
    assert world.phases("camera") == ["STARTING", "INPROGRESS"]
    assert [seen.brief for seen in world.history("camera")][1] == ("STARTING", "Assigned", 1)
    assert world.worker().spec("camera").spec.source.url.endswith("token=abc"), "without the line break"
    assert status["source"] == "(from Secret address)"
    await world.api.delete(SECRETS, world.namespace, "address")


async def test_credentials_that_are_refused_are_read_again_at_once(world: World) -> None:
    world.scripts["camera"] = [[first_frame()], [first_frame()]]
    await world.secret("login", username="viewer", password="old")
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", **NAMED)
    await world.until("camera", "INPROGRESS")
    await world.api.patch(SECRETS, world.namespace, "login", {"stringData": {"password": "new"}})
    world.worker().job("camera").failed(ErrorCode.AUTH, "401 Unauthorized")
    await world.until("camera", "INPROGRESS", epoch=2, timeout=45)
    assert world.worker().spec("camera").spec.source.password == "new"
    assert world.phases("camera")[1:4] == ["INPROGRESS", "INTERRUPTED", "AWAITING"]
    await world.api.delete(SECRETS, world.namespace, "login")


ADDRESS = {"source": {"urlSecretRef": {"name": "address", "key": "url"}}}


async def test_another_password_in_an_address_keeps_the_run_and_another_camera_does_not(world: World) -> None:
    await world.secret("address", url="rtsp://viewer:old@camera.example/1")
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", **ADDRESS)
    await world.until("camera", "INPROGRESS", epoch=1, run=1)
    for epoch, run, url in ((2, 1, "rtsp://viewer:new@camera.example/1"), (3, 2, "rtsp://viewer:new@camera.example/2")):
        await world.api.patch(SECRETS, world.namespace, "address", {"stringData": {"url": url}})
        # So that it is read at once.
        world.worker().job("camera").failed(ErrorCode.AUTH, "401 Unauthorized")
        await world.until("camera", "INPROGRESS", epoch=epoch, run=run)
        assert world.worker().spec("camera").spec.source.url == url
    await world.api.delete(SECRETS, world.namespace, "address")


async def test_a_secret_that_is_gone_stops_no_running_stream(apart: World, replicas: Replicas) -> None:
    first = await replicas.leader("first")
    await apart.secret("login", username="viewer", password=PASSWORD)
    await apart.pool()
    await apart.until_workers(1)
    await apart.job("camera", **NAMED)
    await apart.job("later", **NAMED, enabled=False)
    await apart.until("camera", "INPROGRESS")
    await replicas.kill(first)
    await apart.api.delete(SECRETS, apart.namespace, "login")
    await replicas.leader("second")
    await apart.edit(JOBS, "later", enabled=True)
    await apart.until("later", "AWAITING", "SecretMissing")
    assert apart.last("camera")["phase"] == "INPROGRESS"
    assert "camera" in apart.worker().assigned
    assert apart.scripts.seen["camera"] == [1]
    await apart.secret("login", username="viewer", password="new")
    await apart.until("later", "INPROGRESS")
    await apart.until("camera", "INPROGRESS", epoch=2, run=1)


async def test_credentials_are_in_no_status_no_event_and_no_log(world: World, shared: Shared) -> None:
    leaky = f"cannot open rtsp://viewer:{PASSWORD}@camera.example/1: 401"
    world.scripts["before"] = [[fail(ErrorCode.NETWORK, leaky)]]
    world.scripts["after"] = [[first_frame(), fail(ErrorCode.NETWORK, leaky, after=0.2)]]
    await world.secret("login", username="viewer", password=PASSWORD)
    await world.pool()
    await world.until_workers(1)
    for name in ("before", "after"):
        await world.job(name, **NAMED, restart={"delay": 300})
    await world.until("before", "NOT_STARTED", "SourceNetwork")
    await world.until("after", "INTERRUPTED", "SourceNetwork")
    assert world.last("after")["message"] == "cannot open rtsp://camera.example/1: 401"
    assert world.last("after")["source"] == "rtsp://camera.example/1"
    for name in ("before", "after"):
        await world.until_event(name, "SourceNetwork")
        told = json.dumps([seen.status for seen in world.history(name)]) + json.dumps(await world.events(name))
        assert "camera.example" in told
        assert PASSWORD not in told
    log = shared.process.log_path.read_text(encoding="utf-8")
    assert "cannot open rtsp://camera.example/1: 401" in log
    assert PASSWORD not in log
    assert PASSWORD not in shared.process.get("/metrics")[1]
    await world.api.delete(SECRETS, world.namespace, "login")
    await world.delete(JOBS, "after")
