"""When something is lost: the leader, and one of twenty workers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench.control.rows import Row
from tests.bench.control.world import World, until
from tests.support.crowd import Crowd
from tests.support.operator_process import OperatorProcess

LEASE = 15.0
WRITES_OF_A_LOSS = 3
"""DISCONNECTED, STARTING, INPROGRESS: the lifecycle knows no shorter way from a lost worker to the next."""


@dataclass
class Failovers:
    """Seconds from the leader's end to the next assignment, and streams that restarted."""

    killed: list[float] = field(default_factory=list)
    graceful: list[float] = field(default_factory=list)
    restarted: list[float] = field(default_factory=list)


async def leader_lost(crowd: Crowd, pair: tuple[OperatorProcess, OperatorProcess], name: str, killed: bool) -> float:
    """End the leader of two; seconds until a job that is made then is assigned. What ends is started again."""
    leader = pair[0] if pair[0].leads else pair[1]
    began = time.monotonic()
    if killed:
        leader.kill()
    else:
        await leader.terminate()
    await crowd.create([name])
    await crowd.until(lambda: (name, "STARTING") in crowd.entered, "the next leader plans", 120)
    took = crowd.entered[name, "STARTING"] - began

    async def both_ready() -> bool:
        return all(each.is_ready() for each in pair) and any(each.leads for each in pair)

    await until(both_ready, "both replicas are up again", 120)
    await crowd.until_phase(len(crowd.jobs))
    return took


async def worker_lost(world: World, crowd: Crowd, workers: int) -> tuple[float, int]:
    """Take the busiest worker away; seconds until all of its streams run elsewhere, and how many those were."""
    ((uid, _),) = Counter(job.worker for job in crowd.jobs).most_common(1)
    (pod,) = [each for each in await world.pods() if each["metadata"]["uid"] == uid]
    moved = {job.name for job in crowd.jobs if job.worker == uid}
    began = time.monotonic()
    await world.lose([pod])

    def back() -> bool:
        return all(job.worker != uid and job.phase == "INPROGRESS" for job in crowd.jobs if job.name in moved)

    done = await crowd.until(back, "every stream is back", 120)
    await world.until_workers(workers)
    return done - began, len(moved)


def rows_of(lost: Failovers, back: list[float], at_ceiling: list[float], moved: int) -> Iterator[Row]:
    """The rows on losses."""
    yield Row(
        f"leader killed: next plan, with a Lease of {LEASE:.0f} s",
        "",
        lost.killed,
        reach=LEASE + 2,
    )
    yield Row("leader stopped gracefully: next plan", "", lost.graceful, reach=2)
    yield Row("streams restarted by a change of leader", "", lost.restarted, reach=0, unit="streams")
    yield Row(
        "1 of 20 workers lost: all streams back",
        f"{WRITES_OF_A_LOSS} status patches for each of {moved} streams at the raw ceiling",
        back,
        at_ceiling,
        1.5,
    )
