"""`kubectl videojob` as a process, against a real API server and a real operator."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket

import pytest

from kubectl_videojob.cluster import Cluster
from kubectl_videojob.following import follow
from tests.cluster.operator.conftest import Replicas, Shared
from tests.cluster.operator.harness import JOBS, NOWHERE, World, eventually
from tests.support.cli import Cli
from tests.support.operator_process import OperatorProcess
from tests.support.simulated_worker import end, fail, first_frame
from videofleet_api.codes import ErrorCode
from videofleet_kube.resources import NODES, PODS, Resource

SERVICES = Resource("", "v1", "services")
ENDPOINTS = Resource("", "v1", "endpoints")


@pytest.fixture
def cli(world: World, shared: Shared, kubeconfig: str) -> Cli:
    return Cli(kubeconfig, world.namespace, f"http://127.0.0.1:{shared.process.port}")


async def explained(cli: Cli, name: str) -> dict[str, object]:
    told = await cli("explain", name, "-o", "json")
    assert told.code == 0, told.err
    explanation: dict[str, object] = told.json["explanation"]
    return explanation


async def test_a_job_that_no_pool_takes(world: World, cli: Cli) -> None:
    await world.pool(labels={"site": "hamburg"})
    await world.job("lost", workerSelector={"matchLabels": {"site": "berlin"}})
    await world.until("lost", "AWAITING", "NoMatchingPool")
    told = await cli("explain", "lost")
    assert told.code == 0, told.err
    first, second, *rest = told.out.splitlines()
    assert first.startswith("lost  AWAITING  NoMatchingPool  since ")
    assert second.strip() == "1 pool lacks label site=berlin"
    assert any(world.pool_name in line and "no, lacks label site=berlin" in line for line in rest)
    assert "position" not in told.out, "more room would not start it"


async def test_full_workers_and_the_queue(world: World, cli: Cli) -> None:
    await world.pool(capacityPerWorker=1)
    await world.pool("other", jobLabels={"x": "y"}, minWorkers=0)
    await world.until_workers(1)
    await world.job("runs")
    await world.until("runs", "INPROGRESS")
    for name in ("first", "second"):
        await world.job(name)
        await world.until(name, "AWAITING", "WorkersFull")
        await asyncio.sleep(1)
    told = await explained(cli, "second")
    assert told["summary"] == "1 worker full, 1 pool needs job label x=y; position 2 of 2"
    queue = await cli("top queue --once")
    assert queue.code == 0, queue.err
    assert [line.split()[:5] for line in queue.out.splitlines()[1:]] == [
        ["1", "of", "2", world.namespace, "first"],
        ["2", "of", "2", world.namespace, "second"],
    ]
    running = await explained(cli, "runs")
    assert (running["waiting"], running["summary"]) == (False, "does not wait for room: INPROGRESS, Running")


async def test_a_missing_secret(world: World, cli: Cli) -> None:
    await world.pool()
    await world.until_workers(1)
    source = {"url": "rtsp://camera.example/1", "credentialsSecretRef": {"name": "camera-login"}}
    await world.job("locked", source=source)
    await world.until("locked", "AWAITING", "SecretMissing")
    told = await explained(cli, "locked")
    assert "camera-login" in str(told["summary"])
    assert "position" not in told, "more room would not start it"


async def test_an_operator_that_cannot_be_asked_is_told_and_the_status_too(world: World, kubeconfig: str) -> None:
    await world.job("lost")
    await world.until("lost", "AWAITING", "NoMatchingPool")
    told = await Cli(kubeconfig, world.namespace, "http://127.0.0.1:1")("explain", "lost")
    assert told.code == 0
    assert "no pool takes this job" in told.out
    assert "the operator cannot be reached at --operator http://127.0.0.1:1" in told.err
    assert "Traceback" not in told.err


async def test_a_clip_is_submitted_and_followed_to_its_end(world: World, cli: Cli) -> None:
    world.scripts["clip"] = [[first_frame(), end(1.0)]]
    await world.pool()
    await world.until_workers(1)
    told = await cli("submit", "https://archive.example/a.mp4", *["--name", "clip", "--single-pass", "--wait"])
    assert told.code == 0, told.err
    assert told.out.splitlines()[0] == f"videojob/clip created in {world.namespace}"
    assert [phase for phase in ("STARTING", "COMPLETED") if phase in told.out] == ["STARTING", "COMPLETED"]
    spec = (await world.api.get(JOBS, world.namespace, "clip") or {})["spec"]
    assert (spec["singlePass"], spec["source"]["url"]) == (True, "https://archive.example/a.mp4")
    followed = await cli("tail", "clip", "--until-done")
    assert followed.code == 0, followed.err
    assert "COMPLETED" in followed.out


async def test_one_that_fails_ends_with_another_exit_code(world: World, cli: Cli) -> None:
    world.scripts["broken"] = [[first_frame(), fail(ErrorCode.NETWORK, "the server hung up", 0.5)]]
    await world.pool()
    await world.until_workers(1)
    following = await cli.begin(
        "submit", "https://archive.example/b.mp4", *["--name", "broken", "--single-pass", "--wait"]
    )
    out, err = await asyncio.wait_for(following.communicate(), 60)
    assert following.returncode == 3, err
    assert "did not complete: INTERRUPTED (SourceNetwork): the server hung up" in err.decode()
    assert b"INTERRUPTED" in out
    explained = await cli("explain", "broken")
    assert "NETWORK" in explained.out
    assert "the server hung up" in explained.out


async def test_a_timeout_and_a_deletion_have_codes_of_their_own(world: World, cli: Cli) -> None:
    await world.job("waits")
    told = await cli("tail", "waits", "--until-done", "--timeout", "1")
    assert (told.code, told.err.strip()) == (4, "kubectl videojob: VideoJob waits is not done after 1 s")
    await world.until("waits", "AWAITING")
    following = await cli.begin("tail", "waits", "--until-done")
    assert following.stdout is not None
    assert b"AWAITING" in await asyncio.wait_for(following.stdout.readline(), 60)
    await world.delete(JOBS, "waits")
    _, err = await asyncio.wait_for(following.communicate(), 60)
    assert (following.returncode, err.strip()) == (3, b"kubectl videojob: VideoJob waits was deleted")


async def test_what_came_before_the_watch_began_is_told_too(apart: World, kubeconfig: str) -> None:
    """No operator serves the namespace: the test writes the status."""
    cluster = Cluster.connect(kubeconfig, None, apart.namespace)
    phases = ["STARTING", "INPROGRESS", "COMPLETED"]

    def told() -> list[tuple[str, bool]]:
        changes = follow(cluster, created, timeout=60)
        seen = itertools.islice((change for change in changes if change.event is None), len(phases) + 2)
        return [(((change.job or {}).get("status") or {}).get("phase", ""), change.deleted) for change in seen]

    created = await apart.job("quick")
    for phase in phases:
        await apart.api.patch(JOBS, apart.namespace, "quick", {"status": {"phase": phase}}, subresource="status")
    await apart.delete(JOBS, "quick")
    expected = [(phase, False) for phase in ("", *phases)]
    assert await asyncio.to_thread(told) == [*expected, ("", True)]


async def test_what_the_server_refuses_is_told_in_its_words(world: World, cli: Cli) -> None:
    told = await cli("submit", "ftp://archive.example/a.mp4", "--name", "wrong")
    assert told.code == 1
    assert "url must begin with rtsp://, rtsps://, " in told.err
    assert "Traceback" not in told.err
    missing = await cli("explain", "nobody")
    assert (missing.code, missing.err.strip()) == (
        1,
        'kubectl videojob: videojobs.videofleet.io "nobody" not found',
    )


async def test_live_figures(world: World, cli: Cli) -> None:
    await world.pool(capacityPerWorker=4)
    await world.until_workers(1)
    await world.job("camera")
    await world.until("camera", "INPROGRESS")
    pools = await cli("top", "--once")
    assert pools.code == 0, pools.err
    assert pools.out.splitlines()[1].split()[:4] == [f"{world.namespace}/{world.pool_name}", "1/1", "1/4", "1"]
    jobs = await cli("top jobs --once")
    worker = world.worker().name
    assert jobs.out.splitlines()[1].split()[:4] == [world.namespace, "camera", "INPROGRESS", worker]
    nodes = await cli("top nodes --once")
    assert nodes.out.splitlines()[0].split() == ["NODE", "WORKERS", "SLOTS", "JOBS", "FPS", "DROPPED", "RESTARTS"]
    assert len(nodes.out.splitlines()) == 2


async def test_a_worker_is_drained_while_its_stream_goes_on(world: World, cli: Cli) -> None:
    await world.pool(minWorkers=2, maxWorkers=2)
    await world.until_workers(2)
    await world.job("camera")
    before = (await world.until("camera", "INPROGRESS"))["worker"]["name"]
    told = await cli("drain", before, "--wait")
    assert told.code == 0, told.err
    assert told.out.splitlines() == [f"worker {before} is being drained", f"worker {before} is empty"]
    assert world.last("camera")["worker"]["name"] != before
    assert "DISCONNECTED" not in world.phases("camera")


async def test_a_pool_is_drained_and_takes_jobs_again(world: World, cli: Cli) -> None:
    await world.pool()
    await world.until_workers(1)
    told = await cli("drain", f"pool/{world.pool_name}", "--wait")
    assert told.code == 0, told.err
    await world.job("camera")
    await world.until("camera", "AWAITING", "NoMatchingPool")
    assert str((await explained(cli, "camera"))["summary"]).startswith("1 pool is being emptied")
    assert (await cli("drain", f"pool/{world.pool_name}", "--undo")).code == 0
    await world.until("camera", "INPROGRESS")


async def test_a_node_is_cordoned_and_its_workers_are_drained(world: World, cli: Cli) -> None:
    node = f"{world.namespace}-node"
    await world.api.create(NODES, None, {"metadata": {"name": node}})
    try:
        told = await cli("drain", f"node/{node}", "--wait")
        assert told.out.splitlines()[0] == f"node {node} (0 workers) is being drained"
        assert (await world.api.get(NODES, None, node) or {})["spec"]["unschedulable"] is True
        assert (await cli("drain", f"node/{node}", "--undo")).code == 0
        assert "unschedulable" not in (await world.api.get(NODES, None, node) or {})["spec"]
    finally:
        await world.api.delete(NODES, None, node)


async def test_what_cannot_be_drained(world: World, cli: Cli) -> None:
    gone = await cli("drain", "nothing-0-0")
    assert (gone.code, gone.err.strip()) == (1, 'kubectl videojob: pods "nothing-0-0" not found')
    odd = await cli("drain", "cluster/all")
    assert (odd.code, odd.err.strip()) == (1, "kubectl videojob: cluster/all: give POD, pool/NAME or node/NAME")


async def test_questions_go_through_the_api_server(apart: World, replicas: Replicas, kubeconfig: str) -> None:
    """Two replicas behind a Service: whichever is met, the leader answers in the end."""
    leader = await replicas.leader("one", listen_host="0.0.0.0")
    follower = replicas.new("two", listen_host="0.0.0.0")
    await follower.start()
    await publish(apart, "videofleet-operator", [follower, leader])
    await apart.job("lost")
    await apart.until("lost", "AWAITING", "NoMatchingPool")
    told = await Cli(kubeconfig, apart.namespace, f"{apart.namespace}/videofleet-operator")("explain", "lost")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[1].strip() == f"no pool for namespace {apart.namespace}"
    status, refused = await eventually(lambda: (told := follower.get("/v1/queue"))[0] and told, "the other one answers")
    assert (status, json.loads(refused)["leader"]) == (503, "one")


async def publish(world: World, name: str, operators: list[OperatorProcess]) -> None:
    """A Service in front of processes of this machine."""
    ports = [{"name": "metrics", "port": 8080}]
    await world.api.create(SERVICES, world.namespace, {"metadata": {"name": name}, "spec": {"ports": ports}})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: this only asks by which address others would be reached.
        probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
    subsets = []
    for number, operator in enumerate(operators):
        # The API server's proxy leads to addresses of pods alone.
        pod = f"{name}-{number}"
        spec = {"containers": [{"name": "it", "image": "none"}], "nodeSelector": NOWHERE}
        await world.api.create(PODS, world.namespace, {"metadata": {"name": pod}, "spec": spec})
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        await world.api.patch(PODS, world.namespace, pod, {"status": status}, subresource="status")
        target = {"kind": "Pod", "namespace": world.namespace, "name": pod}
        port = {"name": "metrics", "port": operator.port}
        subsets.append({"addresses": [{"ip": address, "targetRef": target}], "ports": [port]})
    await world.api.create(ENDPOINTS, world.namespace, {"metadata": {"name": name}, "subsets": subsets})


async def test_a_dry_run_is_what_kubectl_would_apply(world: World, cli: Cli) -> None:
    arguments = "--name camera --classes person,car --confidence 0.4 --sampling fps=5 --label site=berlin --slots 2"
    told = await cli("submit", "rtsp://camera.example/1", *arguments.split(), "--dry-run", "-o", "json")
    assert told.code == 0, told.err
    manifest = json.loads(told.out)
    assert manifest["spec"]["sampling"] == {"mode": "fps", "value": 5.0}
    created = await world.api.create(JOBS, world.namespace, manifest)
    assert created["spec"]["analytics"][0]["steps"][0]["parameters"] == {
        "classes": ["person", "car"],
        "confidence": 0.4,
    }
    assert await world.api.get(JOBS, world.namespace, "camera") is not None
