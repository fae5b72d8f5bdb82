"""Ten thousand running jobs: memory of the operator, its start, and its silence."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.control.life import OURS
from tests.bench.control.rows import Row
from tests.bench.control.world import NAMESPACE, PARTS, World, until
from tests.support.control_plane import memory_bytes
from tests.support.crowd import Crowd
from tests.support.operator_process import OperatorProcess
from tests.support.programs import COMPILED, REPOSITORY

PATIENCE = 600.0
"""Seconds that a peer may take to start."""


@dataclass
class Many:
    """What was measured with many jobs."""

    jobs: int
    few: int
    """Jobs in the comparison with the index: more would take it hours."""
    idle_writes: list[float] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)
    """Jobs and MiB of the operator."""
    cold: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    cold_few: list[float] = field(default_factory=list)
    index_few: list[float] = field(default_factory=list)
    index_memory: list[float] = field(default_factory=list)
    """MiB of the index operator with few jobs and with none, in turn a 1,000 jobs."""


async def peer(module: str, kubeconfig: str, *arguments: str) -> tuple[float, float]:
    """Run a peer until it prints a line: seconds since its start, and its memory in MiB then."""
    environment = os.environ | {
        **COMPILED,
        "KUBECONFIG": kubeconfig,
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in PARTS),
    }
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.bench.control.peers.{module}",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    if process.stdout is None:
        raise RuntimeError(f"{module} has no output")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        took = time.monotonic() - began
        if not line:
            raise RuntimeError(f"{module} ended without a word")
        memory = memory_bytes(process.pid) / 2**20 if process.returncode is None else 0.0
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return took, memory


async def cold_start(operator: OperatorProcess) -> float:
    """Stop and start the operator: seconds from its start until it has everything and leads."""
    await operator.terminate()
    began = time.monotonic()
    operator.launch()

    async def leads() -> bool:
        return operator.leads

    await until(leads, "the operator leads", 300, 0.02)
    return time.monotonic() - began


async def remember(many: Many, operator: OperatorProcess, crowd: Crowd) -> None:
    """The operator's memory with the jobs that there are now."""
    await crowd.quiet(3.0)
    many.memory.append((len(crowd.jobs), memory_bytes(operator.process.pid) / 2**20))


async def idle(many: Many, world: World, crowd: Crowd, seconds: float) -> None:
    """Writes of the operator in a while in which nothing happens; its late Events have gone before."""
    await crowd.quiet(5.0)
    await silence_of_operator(world)
    _, position = world.plane.writes()
    await asyncio.sleep(seconds)
    new, _ = world.plane.writes(position)
    many.idle_writes.append(float(sum(each.agent == OURS for each in new)))


async def silence_of_operator(world: World) -> None:
    """Wait until the operator has written nothing for five seconds: Events of the past minute come late."""
    _, position = world.plane.writes()
    last = time.monotonic()

    async def silent() -> bool:
        nonlocal position, last
        new, position = world.plane.writes(position)
        if any(each.agent == OURS for each in new):
            last = time.monotonic()
        return time.monotonic() - last > 5.0

    await until(silent, "Events are through", 1200)


async def start_rounds_few(many: Many, world: World, operator: OperatorProcess, rounds: int) -> None:
    """Our start and that of the index, in turn."""
    _, empty = await peer("index_operator", world.plane.kubeconfig, "default", "0")
    for _ in range(rounds):
        many.cold_few.append(await cold_start(operator))
        took, memory = await peer("index_operator", world.plane.kubeconfig, NAMESPACE, str(many.few))
        many.index_few.append(took)
        many.index_memory.append((memory - empty) / many.few * 1000)


async def start_rounds(many: Many, world: World, operator: OperatorProcess, rounds: int) -> None:
    """Our start and a bare list, in turn."""
    for _ in range(rounds):
        many.cold.append(await cold_start(operator))
        many.raw.append((await peer("raw_list", world.plane.kubeconfig, NAMESPACE))[0])


def slope(points: Sequence[tuple[int, float]]) -> float:
    """MiB a 1,000 jobs, by least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    above = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return 1000 * above / sum((x - mean_x) ** 2 for x, _ in points)


def rows_of(many: Many) -> Iterator[Row]:
    """The rows on many jobs."""
    yield Row(f"writes while {many.jobs} jobs idle, Lease apart", "", many.idle_writes, reach=0, unit="writes a minute")
    memory = [slope(many.memory)]
    yield Row("operator memory per 1,000 jobs", "", memory, reach=3, unit="MiB")
    yield Row("operator memory per 1,000 jobs", "an operator on @kopf.index", memory, many.index_memory, 0.3, "MiB")
    yield Row(f"cold start with {many.jobs} jobs", "raw LIST and parse, one process", many.cold, many.raw, 1.5)
    yield Row(
        f"cold start with {many.few} jobs",
        "an operator on @kopf.index until it has indexed all",
        many.cold_few,
        many.index_few,
        0.02,
    )
