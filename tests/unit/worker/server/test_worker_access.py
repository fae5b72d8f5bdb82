"""Who may do what on a worker, and how it answers what is wrong."""

import shutil
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.support.authority import SERVER_NAME, Authority
from tests.support.worker_client import WorkerClient, WorkerProcess
from tests.unit.worker.server.conftest import Keys, StartWorker
from videofleet_api.names import OPERATOR_CLIENT_NAME
from videofleet_api.protocol import WorkerInfo
from videofleet_worker.server.streaming import notice_when_it_vanishes


async def test_the_operator_learns_who_the_worker_is(client: WorkerClient) -> None:
    answer = await client.get("/v1/info")
    info = WorkerInfo.model_validate(answer.body)
    assert (answer.status, info.id, info.capacity) == (200, "worker", 4)
    assert {"detect", "track", "nanodet-m-416"} <= set(info.steps)
    assert info.provider in ("cpu", "cuda", "tensorrt")
    assert info.models[0].digest.startswith("sha256:")
    assert info.hint is not None, "it has looked how much it holds"
    assert "streams of 1080p" in info.hint.message or info.hint.slots == 1


async def test_a_reader_reads_and_changes_nothing(shared_worker: WorkerProcess, keys: Keys) -> None:
    async with WorkerClient(shared_worker, keys.reader) as reader:
        assert (await reader.get("/v1/info")).status == 200
        for method, path in (("PUT", "/v1/assignments"), ("POST", "/v1/drain")):
            answer = await reader.request(method, path, {})
            assert (answer.status, answer.body["code"]) == (403, "FORBIDDEN")
            assert OPERATOR_CLIENT_NAME in answer.body["message"]


async def test_another_name_of_the_same_authority_has_no_rights(shared_worker: WorkerProcess, keys: Keys) -> None:
    async with WorkerClient(shared_worker, keys.stranger) as stranger:
        answer = await stranger.get("/v1/info")
        assert answer.status == 403
        assert "somebody-else" in answer.body["message"]


async def test_without_a_certificate_there_is_no_connection(
    shared_worker: WorkerProcess, keys: Keys, tmp_path: Path
) -> None:
    other = Authority("another CA").issue(tmp_path / "other", OPERATOR_CLIENT_NAME)
    shutil.copy(keys.server / "ca.crt", other / "ca.crt")
    async with WorkerClient(shared_worker, other) as forger:
        with pytest.raises(aiohttp.ClientError):
            await forger.get("/v1/info")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/nothing", 404, ["/v1/nothing"]),
        ("DELETE", "/v1/info", 405, ["DELETE"]),
        ("GET", "/v1/jobs/no-such/chunks", 404, ["no-such"]),
        ("GET", "/v1/jobs/no-such/live", 404, ["no-such"]),
        ("GET", "/v1/events?after=nonsense", 400, ["nonsense", "INSTANCE:SEQUENCE"]),
    ],
)
async def test_errors_are_documents(
    method: str, path: str, status: int, words: list[str], client: WorkerClient
) -> None:
    answer = await client.request(method, path)
    assert answer.status == status
    assert answer.body["code"]
    for word in words:
        assert word in answer.body["message"]


async def test_a_document_that_cannot_be_read_is_told_by_field_and_never_by_value(client: WorkerClient) -> None:
    entry = {"uid": "a", "spec": {"source": {"url": "http://h/a", "password": {"s3cret-value": 1}}, "analytics": 7}}
    document = {"term": 1, "number": 1, "instance": "x", "entries": [entry]}
    answer = await client.request("PUT", "/v1/assignments", document)
    assert (answer.status, answer.body["code"]) == (400, "BAD_REQUEST")
    assert "entries.0.namespace" in answer.body["message"]
    assert "entries.0.spec.source.password" in answer.body["message"]
    assert "s3cret-value" not in answer.body["message"]


async def test_new_certificates_are_taken_up_without_a_restart(start_worker: StartWorker, keys: Keys) -> None:
    folder = keys.server.parent / "rotated"
    shutil.copytree(keys.server, folder)
    worker = start_worker(tls_dir=str(folder))
    async with WorkerClient(worker, keys.operator) as old:
        assert (await old.get("/v1/info")).status == 200
    authority = Authority("the next CA")
    authority.issue(folder, "worker", SERVER_NAME)
    renewed = authority.issue(folder.parent / "renewed", OPERATOR_CLIENT_NAME)
    async with WorkerClient(worker, renewed) as new:
        assert (await new.get("/v1/info")).status == 200
    shutil.copy(folder / "ca.crt", renewed / "ca.crt")
    mixed = keys.authority.issue(folder.parent / "mixed", OPERATOR_CLIENT_NAME)
    shutil.copy(folder / "ca.crt", mixed / "ca.crt")
    async with WorkerClient(worker, mixed) as forger:
        with pytest.raises(aiohttp.ClientError):
            await forger.get("/v1/info")


async def test_half_a_rotation_leaves_the_old_certificate_in_force(start_worker: StartWorker, keys: Keys) -> None:
    folder = keys.server.parent / "half"
    shutil.copytree(keys.server, folder)
    worker = start_worker(tls_dir=str(folder))
    (folder / "tls.key").write_text("not a key")
    async with WorkerClient(worker, keys.operator) as operator:
        assert (await operator.get("/v1/info")).status == 200
    assert any("keeping the old TLS files" in record["message"] for record in worker.records())


def test_probes_and_metrics_need_no_certificate(shared_worker: WorkerProcess) -> None:
    assert shared_worker.plain("/healthz") == (200, "ok\n")
    assert shared_worker.plain("/readyz") == (200, "ok\n")
    assert shared_worker.plain("/jobs") == (200, "0\n")
    status, text = shared_worker.plain("/metrics")
    assert status == 200
    assert "videofleet_execution_provider_info{" in text
    assert shared_worker.metric("videofleet_worker_capacity") == 4


async def test_a_listener_that_vanishes_is_noticed_within_seconds() -> None:
    """The worker must not take it for one that can start a job again."""
    found: list[int] = []

    async def listen(request: web.Request) -> web.Response:
        notice_when_it_vanishes(request)
        connection = request.get_extra_info("socket")
        found.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        return web.Response()

    app = web.Application()
    app.router.add_get("/", listen)
    async with TestClient(TestServer(app)) as viewer:
        await viewer.get("/")
    assert found == [10_000]
