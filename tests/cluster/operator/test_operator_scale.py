"""Hundreds of streams on twenty workers of one simulated fleet: start, loss, restart, and silence when all is well.

The same at full size is `python -m tests.bench.control.scale`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cluster.operator.conftest import Namespaces, leading
from tests.cluster.operator.harness import NOWHERE, eventually, shorten_lease
from tests.support.crowd import POOLS, Crowd, in_swarm, pool_body
from tests.support.operator_process import OperatorProcess
from tests.support.programs import REPOSITORY
from videofleet_api.names import LABEL_POOL
from videofleet_kube import PODS, ApiSession

WORKERS, JOBS, LOST = 20, 300, 5
POOL = "crowd"


@pytest.fixture
def namespace(namespaces: Namespaces) -> str:
    return namespaces.new()


@pytest.fixture
def fleet(namespace: str, kubeconfig: str, tmp_path: Path) -> Iterator[None]:
    """The program that answers for the workers of the namespace."""
    command = [sys.executable, "-m", "tests.support.simulated_fleet", "--kubelet"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in PARTS)}
    with (tmp_path / "fleet.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--kubeconfig", kubeconfig, "--namespace", namespace], env=environment, stdout=log, stderr=log
        )
        yield
        ended = process.poll()
        process.kill()
        process.wait()
    assert ended is None, (tmp_path / "fleet.log").read_text(encoding="utf-8")


PARTS = ("api", "archive", "kube", "operator", "worker", ".")


@pytest.fixture
async def crowd(api: ApiSession, namespace: str, fleet: None) -> AsyncIterator[Crowd]:
    await api.create(POOLS, namespace, pool_body(POOL, WORKERS, 16, maxWorkers=WORKERS, nodeSelector=NOWHERE))
    async with Crowd(api, namespace) as opened:
        yield opened
        await opened.delete([job.name for job in opened.jobs])
        await api.delete(POOLS, namespace, POOL)


@pytest.mark.alone
async def test_three_hundred_streams_start_survive_losses_and_then_cause_no_write(
    crowd: Crowd, kubeconfig: str, tmp_path: Path
) -> None:
    served = crowd.namespace
    operator = OperatorProcess(
        tmp_path / "operator.log", kubeconfig, namespace=served, namespaces=served, identity="one"
    )
    with leading(operator):
        await crowd.create((f"camera-{number}" for number in range(JOBS)), at_once=8)
        await crowd.until_phase(JOBS)
        await _nothing_is_written(crowd, operator)

        gone = await _lose_workers(crowd)
        await crowd.until(lambda: not gone & {job.worker for job in crowd.jobs}, "every stream has left the lost")
        await crowd.until_phase(JOBS)
        await _nothing_is_written(crowd, operator)

        epochs = {job.name: job.epoch for job in crowd.jobs}
        operator.kill()
        await shorten_lease(crowd.api, served)
        operator.launch()
        await eventually(lambda: operator.leads, "the operator leads again")
        await crowd.create(["latecomer"])
        await crowd.until_phase(JOBS + 1)
        kept = {job.name: job.epoch for job in crowd.jobs if job.name in epochs}
        assert kept == epochs, "a restart of the operator restarts no stream"


async def _lose_workers(crowd: Crowd) -> set[str]:
    """Delete some workers that run streams, as when their node is taken away; their uids."""
    pods = await crowd.api.list(PODS, crowd.namespace, {"labelSelector": LABEL_POOL})
    busy = {job.worker for job in crowd.jobs}
    lost = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods["items"] if pod["metadata"]["uid"] in busy}
    names = sorted(lost)[:LOST]

    async def delete(name: str) -> None:
        await crowd.api.delete(PODS, crowd.namespace, name, grace_seconds=0)

    await in_swarm(delete, names)
    return {lost[name] for name in names}


async def _nothing_is_written(crowd: Crowd, operator: OperatorProcess) -> None:
    """Once jobs and workers have come to rest, nothing goes to the API server for a while but the Lease."""
    await crowd.quiet(2.0)
    pool = {"labelSelector": LABEL_POOL}

    async def all_pods_run() -> bool:
        pods = (await crowd.api.list(PODS, crowd.namespace, pool))["items"]
        return [pod["status"]["phase"] for pod in pods] == ["Running"] * WORKERS

    await eventually(all_pods_run, "every worker runs")
    await eventually(lambda: operator.metrics()['videofleet_workers{state="connected"}'] == WORKERS, "all answer")
    await asyncio.sleep(1.0)
    before, events = operator.metrics()["videofleet_write_requests_total"], crowd.events
    await asyncio.sleep(5.0)
    assert operator.metrics()["videofleet_write_requests_total"] == before
    assert crowd.events == events
