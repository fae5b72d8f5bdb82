"""What a licence says beside its limit, the clock, and who writes of it, with a real API server."""

import asyncio
import datetime
import json
import os
import subprocess
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cluster.operator.conftest import Namespaces, Replicas
from tests.cluster.operator.harness import JOBS, LEASE, LICENSES, World, eventually
from tests.cluster.operator.licensing import Licensed
from videofleet_api.names import LICENSE_NAME
from videofleet_api.times import parse_time
from videofleet_kube import ApiSession
from videofleet_kube.resources import LEASES, Json
from videofleet_operator.domain.licence import ROLLBACK_TOLERANCE, SHED_INTERVAL

CLIP = {"url": "https://files.example/clip.mp4"}


async def test_streams_start_in_the_days_of_grace_and_not_after_them(licensed: Licensed) -> None:
    world, sign = licensed.world, licensed.signer.sign
    await licensed.give(sign(5, days=-1, graceDays=2))
    status = await licensed.until("True", "InGracePeriod")
    assert status["graceEnds"]
    await world.job("before")
    await world.until("before", "INPROGRESS")
    await licensed.replace(sign(5, days=-1, graceDays=0.5))
    await licensed.until("False", "Expired")
    await world.job("after")
    await world.until("after", "TOO_MANY_CAMERAS", "LicenceInvalid")
    assert world.phases("before") == ["STARTING", "INPROGRESS"]


async def test_steps_that_the_licence_does_not_cover_wait_for_one_that_does(licensed: Licensed) -> None:
    world, sign = licensed.world, licensed.signer.sign
    await licensed.give(sign(5, features=["detect"]))
    assert (await licensed.until("True", "Verified"))["features"] == ["detect"]
    await world.job("covered", analytics=[{"steps": [{"model": "detect"}]}])
    await world.until("covered", "INPROGRESS")
    await world.job("more")
    refused = await world.until("more", "TOO_MANY_CAMERAS", "LicenceLacksFeature")
    assert refused["message"] == "the licence covers detect, but not track"
    await licensed.replace(sign(5, features=["detect", "track"]))
    await world.until("more", "INPROGRESS")


@pytest.mark.acceptance("A45")
async def test_recorded_files_that_do_not_count_run_beside_a_full_licence(licensed: Licensed) -> None:
    world = licensed.world
    await licensed.give(licensed.signer.sign(1, countRecorded=False))
    await licensed.until("True", "Verified")
    for name, source in (("camera", {"url": "rtsp://camera.example/1"}), ("one", CLIP), ("two", CLIP)):
        await world.job(name, source=source)
        await world.until(name, "INPROGRESS")
    await world.job("second-camera")
    await world.until("second-camera", "TOO_MANY_CAMERAS", "LicenceExhausted")
    assert (await licensed.until("True", "Verified"))["usedStreams"] == 1


async def test_what_kubectl_shows_of_a_licence(licensed: Licensed, kubeconfig: str) -> None:
    await licensed.give(licensed.signer.sign(7, expires="2099-01-01T00:00:00Z"))
    await licensed.until("True", "Verified")
    kubectl = os.environ.get("KUBECTL", "kubectl")
    # By its full name: other tests have a kind of the same name in a group of their own.
    command = [kubectl, "--kubeconfig", kubeconfig, "get", "videolicenses.videofleet.io"]
    shown = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    header, row = (line.split() for line in shown.stdout.splitlines())
    assert header == ["NAME", "LICENSEE", "USED", "STREAMS", "VALID", "REASON", "EXPIRES", "AGE"]
    assert row[:-1] == ["default", "ACME", "0", "7", "True", "Verified", "2099-01-01T00:00:00Z"]


async def test_a_clock_that_was_set_back_while_no_operator_ran(
    self_licensed: Licensed, replicas: Replicas, tmp_path: Path
) -> None:
    """The Lease says that an earlier leader saw a later time than the clock shows now."""
    world = self_licensed.world
    hour = {"holderIdentity": "", "leaseDurationSeconds": 3, "renewTime": _ahead(3600), "leaseTransitions": 1}
    await world.api.create(LEASES, world.namespace, {"metadata": {"name": LEASE}, "spec": hour})
    await self_licensed.give(self_licensed.signer.sign(5))
    leader = await replicas.leader(licence_public_keys=str(tmp_path))
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    refused = await world.until("camera", "TOO_MANY_CAMERAS", "LicenceInvalid")
    assert "the clock was set back" in refused["message"]
    await self_licensed.until("False", "ClockRolledBack")
    await leader.terminate()
    # The clock is right again: it is no more behind the mark than two clocks may differ.
    await world.api.patch(LEASES, world.namespace, LEASE, {"spec": {"renewTime": _ahead(ROLLBACK_TOLERANCE / 2)}})
    await leader.start()
    await world.until("camera", "INPROGRESS")
    await self_licensed.until("True", "Verified")


async def test_a_limit_is_reached_one_stream_a_second_although_the_leader_changes(
    self_licensed: Licensed, replicas: Replicas, tmp_path: Path
) -> None:
    world = self_licensed.world
    await self_licensed.give(self_licensed.signer.sign(4))
    leader = await replicas.leader(licence_public_keys=str(tmp_path))
    await world.pool()
    await world.until_workers(1)
    names = ["first", "second", "third", "fourth"]
    for name in names:
        await world.job(name)
        await world.until(name, "INPROGRESS")
    await self_licensed.replace(self_licensed.signer.sign(1))
    await world.until("fourth", "TOO_MANY_CAMERAS", "Shed")
    await replicas.kill(leader)
    await leader.start()
    for name in ("third", "second"):
        await world.until(name, "TOO_MANY_CAMERAS", "Shed")
    shed = [parse_time(world.last(name)["since"]) for name in ("fourth", "third", "second")]
    assert all(later - sooner >= SHED_INTERVAL for sooner, later in pairwise(shed)), shed
    assert world.phases("first") == ["STARTING", "INPROGRESS"]
    await eventually(lambda: list(world.worker().assigned) == ["first"], "the others are stopped")


async def test_only_the_leader_that_holds_the_secret_writes_of_the_licence(
    self_licensed: Licensed, replicas: Replicas, namespaces: Namespaces, api: ApiSession, tmp_path: Path
) -> None:
    world, keys = self_licensed.world, str(tmp_path)
    await self_licensed.give(self_licensed.signer.sign(2))
    told: list[int] = []
    watching = asyncio.create_task(_follow(api, told))
    elsewhere = World(api, namespaces.new())
    await elsewhere.open()
    await replicas.leader(licence_public_keys=keys)
    standby = replicas.new("standby", licence_public_keys=keys)
    await standby.start()
    other = {"namespace": elsewhere.namespace, "namespaces": elsewhere.namespace}
    await replicas.leader("other", licence_public_keys=keys, **other)
    await world.pool()
    await elsewhere.pool()
    await world.job("mine")
    await world.until("mine", "INPROGRESS")
    for name in ("one", "two"):
        await elsewhere.job(name)
        await elsewhere.until(name, "INPROGRESS")
    await elsewhere.job("three")
    await elsewhere.until("three", "TOO_MANY_CAMERAS", "LicenceExhausted")
    await world.edit(JOBS, "mine", enabled=False)
    await eventually(lambda: told[-1:] == [0], "the stream is given back")
    assert set(told) == {0, 1}, "the other operator obeys the licence and does not write of it"
    assert standby.metrics()["videofleet_write_requests_total"] == 0
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    await elsewhere.close()


def _ahead(seconds: float) -> str:
    """The time that will be in so many seconds, as a Lease holds it."""
    time = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def _follow(api: ApiSession, told: list[int]) -> None:
    """Collect the streams in use that any status of the VideoLicense ever tells."""
    listed = await api.list(LICENSES, None)
    async with api.watch(LICENSES, None, {"resourceVersion": listed["metadata"]["resourceVersion"]}) as chunks:
        rest = b""
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            told += [used for line in lines if (used := _used(json.loads(line)["object"])) is not None]


def _used(license: Json) -> int | None:
    assert license["metadata"]["name"] == LICENSE_NAME
    used = (license.get("status") or {}).get("usedStreams")
    return None if used is None else int(used)
