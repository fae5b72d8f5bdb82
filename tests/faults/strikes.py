"""What goes wrong beside requests and watches: pods, workers and leaders are lost at the k-th write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from tests.cluster.operator.harness import World
from tests.faults.keeper import Keeper
from tests.faults.plans import (
    CrashWorker,
    LosePod,
    Partition,
    SilenceWorker,
    StageFault,
    StealLease,
    Suspend,
)
from tests.faults.proxy.calls import Call
from tests.faults.proxy.server import Replica
from tests.support.simulated_worker import SimulatedWorker
from videofleet_kube.resources import LEASES, PODS

LEASE = "videofleet-operator"


class Strikes:
    """The stage faults of a plan; `spawn` runs each beside the plan."""

    def __init__(
        self,
        faults: Sequence[StageFault],
        world: World,
        keepers: Mapping[str, Keeper],
        replicas: Mapping[str, Replica],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.struck: list[StageFault] = []
        self._faults = faults
        self._world = world
        self._keepers = keepers
        self._replicas = replicas
        self._spawn = spawn

    @property
    def left(self) -> list[StageFault]:
        """Those that have not struck."""
        return [fault for fault in self._faults if fault not in self.struck]

    def written(self, count: int, call: Call) -> None:
        """A replica has sent its write number `count` of all replicas."""
        for fault in self._faults:
            if fault.write == count:
                self.struck.append(fault)
                self._spawn(self._strike(fault, call.replica))

    async def _strike(self, fault: StageFault, replica: str) -> None:
        match fault:
            case LosePod():
                name, _ = await self._busy_worker()
                await self._world.api.delete(PODS, self._world.namespace, name, grace_seconds=0)
            case CrashWorker():
                _, worker = await self._busy_worker()
                worker.crash()
            case SilenceWorker(seconds=seconds):
                _, worker = await self._busy_worker()
                worker.go_silent()
                await asyncio.sleep(seconds)
                worker.speak()
            case StealLease(seconds=seconds):
                await self._steal(seconds)
            case Suspend(seconds=seconds):
                await self._keepers[replica].suspend(seconds)
            case Partition(seconds=seconds):
                self._replicas[replica].reachable.clear()
                await asyncio.sleep(seconds)
                self._replicas[replica].reachable.set()

    async def _busy_worker(self) -> tuple[str, SimulatedWorker]:
        """The first worker with jobs, as soon as there is one."""
        while True:
            busy = sorted(name for name, worker in self._world.workers.items() if worker.assigned)
            if busy:
                return busy[0], self._world.workers[busy[0]]
            await asyncio.sleep(0.05)

    async def _steal(self, seconds: int) -> None:
        api, namespace = self._world.api, self._world.namespace
        lease = await api.get(LEASES, namespace, LEASE) or {"spec": {}}
        term = int(lease["spec"].get("leaseTransitions") or 0) + 1
        spec = {"holderIdentity": "a-thief", "leaseTransitions": term, "leaseDurationSeconds": seconds}
        await api.patch(LEASES, namespace, LEASE, {"spec": spec})
