"""One replica as a whole, against a stand-in for the API server: its start, its health, its end."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import eventually
from videofleet_kube.election import format_time
from videofleet_operator.config import Config
from videofleet_operator.services.application import Application, StartError

LEASE = ("apis/coordination.k8s.io/v1/leases", "video", "videofleet-operator")
AUTHORITY = ("api/v1/secrets", "video", "videofleet-worker-authority")
CONFIG = Config(
    namespace="video",
    identity="one",
    namespaces=("video",),
    worker_image="localhost/worker:1",
    listen_host="127.0.0.1",
    listen_port=0,
    lease_duration=3,
)


@pytest.fixture
def kubeconfig(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$KUBECONFIG leads to the stand-in."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": api.host}}],
        "users": [{"name": "test", "user": {"token": "constant"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    monkeypatch.setenv("KUBECONFIG", str(path))


@pytest.fixture
async def application(kubeconfig: None) -> AsyncIterator[Application]:
    failures: list[str] = []
    made = Application(CONFIG, failures.append)
    await made.start()
    yield made
    await made.stop()
    assert failures == []


async def get(application: Application, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{application.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def until_leading(application: Application) -> None:
    leader = application.metrics.registry.get_sample_value
    await eventually(lambda: leader("videofleet_operator_leader") == 1)


async def test_it_becomes_ready_and_leads(application: Application, api: FakeApi) -> None:
    await until_leading(application)
    assert await get(application, "/readyz") == (200, "ok")
    assert await get(application, "/healthz") == (200, "ok")
    _, metrics = await get(application, "/metrics")
    assert 'videofleet_watch{counter="lists",resource="videojobs"} 1.0' in metrics
    assert 'videofleet_jobs{phase="INPROGRESS"} 0.0' in metrics
    requests = next(line for line in metrics.splitlines() if line.startswith("videofleet_api_requests "))
    assert float(requests.split()[1]) >= len(api.requests) - 1
    assert AUTHORITY in api.objects
    assert api.objects[LEASE]["spec"]["holderIdentity"].startswith("one_"), "another process of the pod is another"


def lists(application: Application) -> float | None:
    labels = {"resource": "videojobs", "counter": "lists"}
    return application.metrics.registry.get_sample_value("videofleet_watch", labels)


async def test_what_a_leader_decides_on_was_listed_after_it_had_the_lease(
    application: Application, api: FakeApi
) -> None:
    await until_leading(application)
    told = [(method, path.rpartition("/")[2]) for method, path, _ in api.requests]
    assert told.index(("POST", "leases")) < told.index(("GET", "videojobs"))
    assert lists(application) == 1


async def test_what_was_listed_before_is_listed_again(kubeconfig: None, api: FakeApi) -> None:
    """Another one led meanwhile, and may have written."""
    now = format_time(datetime.datetime.now(datetime.UTC))
    held = {"holderIdentity": "other", "leaseDurationSeconds": 60, "renewTime": now, "leaseTransitions": 1}
    api.put(*LEASE, spec=held)
    application = Application(CONFIG, lambda why: None)
    await application.start()
    try:
        await eventually(lambda: lists(application) == 1)
        await eventually(lambda: application.metrics.registry.get_sample_value("videofleet_operator_leader") == 0)
        api.put(*LEASE, spec={**held, "holderIdentity": ""})
        await until_leading(application)
        assert lists(application) == 2
    finally:
        await application.stop()


async def test_before_everything_is_listed_it_is_not_ready(kubeconfig: None, api: FakeApi) -> None:
    def no_jobs(request: web.Request) -> web.StreamResponse | None:
        return refusal(503, "ServiceUnavailable") if request.path.endswith("/videojobs") else None

    api.always = no_jobs
    application = Application(CONFIG, lambda why: None)
    await application.start()
    try:
        assert await get(application, "/readyz") == (503, "not everything has been listed yet")
        assert (await get(application, "/healthz"))[0] == 200
        api.always = lambda _: None
        await eventually(lambda: LEASE in api.objects)
        await until_leading(application)
    finally:
        await application.stop()


async def test_its_end_gives_the_lease_back(kubeconfig: None, api: FakeApi) -> None:
    application = Application(CONFIG, lambda why: None)
    await application.start()
    await until_leading(application)
    await application.stop()
    assert api.objects[LEASE]["spec"].get("holderIdentity", "") == ""
    with pytest.raises(aiohttp.ClientError):
        await get(application, "/healthz")


async def test_a_lost_lease_is_told(kubeconfig: None, api: FakeApi) -> None:
    failures: list[str] = []
    application = Application(CONFIG, failures.append)
    await application.start()
    await until_leading(application)
    api.put(*LEASE, spec={"holderIdentity": "somebody-else", "leaseTransitions": 9})
    await eventually(lambda: failures == ["the Lease was lost"])
    await application.stop()


@pytest.mark.parametrize(
    ("response", "passing"),
    [
        (lambda: refusal(503, "ServiceUnavailable", "starting"), True),
        (lambda: refusal(403, "Forbidden", "you may not"), False),
    ],
)
async def test_a_start_that_fails_says_whether_to_try_again(
    kubeconfig: None, api: FakeApi, response: Callable[[], web.StreamResponse], passing: bool
) -> None:
    api.fail("GET", response)
    with pytest.raises(StartError, match="cannot start: ") as caught:
        await Application(CONFIG, lambda why: None).start()
    assert caught.value.passing is passing


async def test_an_authority_that_cannot_be_used_ends_the_start(kubeconfig: None, api: FakeApi) -> None:
    api.put(*AUTHORITY, data={"tls.crt": "AAAA"})
    with pytest.raises(StartError, match="Secret video/videofleet-worker-authority has no usable") as caught:
        await Application(CONFIG, lambda why: None).start()
    assert not caught.value.passing


async def test_a_port_that_is_taken_ends_the_start(application: Application) -> None:
    taken = CONFIG.model_copy(update={"listen_port": application.port})
    with pytest.raises(StartError, match="address already in use"):
        await Application(taken, lambda why: None).start()


async def test_without_credentials_the_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(StartError, match="nowhere"):
        await Application(CONFIG, lambda why: None).start()
