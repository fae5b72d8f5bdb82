"""The licence: signed, in a Secret, named by the one VideoLicense of the cluster."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.operator.conftest import Replicas
from tests.cluster.operator.harness import JOBS, LICENSES, World, eventually
from tests.cluster.operator.licensing import Licensed, Vendor
from tests.support.cli import Cli
from tests.support.kubectl import conditions
from tests.support.licences import Signer
from videofleet_api.names import API_VERSION, LICENSE_NAME
from videofleet_operator.domain.licence import SHED_INTERVAL


@pytest.mark.acceptance("F58", "F59", "A8")
async def test_a_limit_holds_back_what_is_too_much_until_a_slot_is_free(licensed: Licensed) -> None:
    world = licensed.world
    await licensed.give(licensed.signer.sign(2))
    status = await licensed.until("True", "Verified")
    assert status["licensee"]
    assert (status["maxStreams"], status["usedStreams"]) == (2, 0)
    for name in ("one", "two"):
        await world.job(name)
        await world.until(name, "INPROGRESS")
    await world.job("three")
    waiting = await world.until("three", "TOO_MANY_CAMERAS", "LicenceExhausted")
    assert "2 of 2 streams are in use" in waiting["message"]
    expected = {"Ready": "False", "Reconciling": "True", "Stalled": "False", "Scheduled": "False", "Licensed": "False"}
    assert conditions(waiting).items() >= expected.items()
    assert (await world.until_event("three", "LicenceExhausted"))["type"] == "Warning"
    await world.edit(JOBS, "one", enabled=False)
    await world.until("three", "INPROGRESS")
    assert world.phases("three")[-3:] == ["TOO_MANY_CAMERAS", "STARTING", "INPROGRESS"]
    await world.edit(JOBS, "one", enabled=True)
    await world.until("one", "TOO_MANY_CAMERAS", "LicenceExhausted")
    assert world.phases("two") == ["STARTING", "INPROGRESS"]


@pytest.fixture
def cli(vendor: Vendor, kubeconfig: str) -> Cli:
    """The command line, asking the vendor's operator."""
    return Cli(kubeconfig, vendor.namespace, f"http://127.0.0.1:{vendor.operator.port}")


async def test_a_licence_is_installed_shown_and_used_up(licensed: Licensed, cli: Cli, tmp_path: Path) -> None:
    world = licensed.world
    none = await cli("license show")
    assert (none.code, none.out.startswith("no VideoLicense")) == (0, True)
    path = tmp_path / "licence.json"
    path.write_text(Signer.new().sign(1))
    forged = await cli("license install", str(path))
    assert forged.code == 1
    assert "the licence is not valid: BadSignature" in forged.err
    path.write_text(licensed.signer.sign(1))
    installed = await cli("license install", str(path))
    assert installed.code == 0, installed.err
    await world.job("one")
    await world.until("one", "INPROGRESS")
    await world.job("two")
    await world.until("two", "TOO_MANY_CAMERAS", "LicenceExhausted")
    told = await cli("explain", "two", "-o", "json")
    assert told.json["explanation"]["summary"] == "licence 1 of 1 used; position 1 of 1"
    shown = await cli("license show")
    rows = dict(line.split(None, 1) for line in shown.out.splitlines() if line)
    assert (shown.code, rows["streams"].strip()) == (0, "1 of 1 used")
    assert rows["secret"].strip() == f"{world.namespace}/videofleet-licence, key license"


async def test_an_expired_licence_starts_nothing_new_and_stops_nothing(licensed: Licensed) -> None:
    world = licensed.world
    # Time enough for a job to start on a busy machine.
    await licensed.give(licensed.signer.sign(5, days=20 / 86400))
    await licensed.until("True", "Verified")
    await world.job("before")
    await world.until("before", "INPROGRESS")
    await licensed.until("False", "Expired")
    await world.job("after")
    refused = await world.until("after", "TOO_MANY_CAMERAS", "LicenceInvalid")
    assert "the licence expired at" in refused["message"]
    assert world.phases("before") == ["STARTING", "INPROGRESS"]
    await world.api.delete(LICENSES, None, LICENSE_NAME)
    await world.until("after", "INPROGRESS")


async def test_a_lowered_limit_sheds_the_newest_of_the_lowest_priority(licensed: Licensed) -> None:
    world = licensed.world
    await licensed.give(licensed.signer.sign(3))
    await licensed.until("True", "Verified")
    for name, priority in (("important", 1), ("old", 0), ("new", 0)):
        await world.job(name, priority=priority)
        await world.until(name, "INPROGRESS")
        await asyncio.sleep(1)
    await licensed.replace(licensed.signer.sign(1))
    await world.until("old", "TOO_MANY_CAMERAS", "Shed")
    (new,), (old,) = world.began("new", "TOO_MANY_CAMERAS"), world.began("old", "TOO_MANY_CAMERAS")
    assert old - new >= SHED_INTERVAL, "one a second"
    assert world.phases("important") == ["STARTING", "INPROGRESS"]
    await eventually(lambda: list(world.worker().assigned) == ["important"], "the others are stopped")


async def test_a_forged_licence_counts_for_nothing(licensed: Licensed) -> None:
    world = licensed.world
    await licensed.give(Signer.new().sign(1000))
    status = await licensed.until("False", "BadSignature")
    assert "maxStreams" not in status, "nothing that a stranger signed is repeated"
    await world.job("camera")
    await world.until("camera", "TOO_MANY_CAMERAS", "LicenceInvalid")


async def test_a_licence_whose_secret_is_missing(licensed: Licensed) -> None:
    world = licensed.world
    reference = {"namespace": world.namespace, "name": "nowhere"}
    body = {"apiVersion": API_VERSION, "kind": "VideoLicense", "metadata": {"name": LICENSE_NAME}}
    await world.api.create(LICENSES, None, {**body, "spec": {"secretRef": reference}})
    await licensed.until("False", "Missing")
    await world.job("camera")
    refused = await world.until("camera", "TOO_MANY_CAMERAS", "LicenceInvalid")
    assert f"Secret {world.namespace}/nowhere is not there or not readable: create it" in refused["message"]
    await world.secret("nowhere", license=licensed.signer.sign(1))
    await world.until("camera", "INPROGRESS")


async def test_where_a_licence_is_required_nothing_starts_without_one(apart: World, replicas: Replicas) -> None:
    await replicas.leader(licence_required="true")
    await apart.pool()
    await apart.until_workers(1)
    await apart.job("camera")
    refused = await apart.until("camera", "TOO_MANY_CAMERAS", "LicenceInvalid")
    assert "there is no VideoLicense named default: apply one" in refused["message"]


async def test_a_key_that_is_none_ends_the_operator_with_a_sentence(replicas: Replicas, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    operator = replicas.new(licence_public_keys=str(tmp_path))
    operator.launch()
    assert await operator.ended() == 2
    assert f"VIDEOFLEET_LICENCE_PUBLIC_KEYS: {broken}: a licence's public key is not" in operator.log()
