"""Runs one plan: a namespace, operators behind the proxy, a played kubelet with workers, and the oracles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.cluster.operator.harness import JOBS, LICENSES, World
from tests.faults.disturbance import WorkerFaults
from tests.faults.keeper import Keeper, skewed
from tests.faults.masking import job_state, pool_state
from tests.faults.observer import Observer
from tests.faults.oracles import Invariants
from tests.faults.plans import Plan
from tests.faults.proxy.server import FaultProxy, Replica
from tests.faults.strikes import Strikes
from tests.faults.workloads import GONE, POOL, Add, Change, Edit, Leave, Limit, Remove, Workers
from tests.support.licences import Signer
from tests.support.operator_process import OperatorProcess
from videofleet_api.names import API_VERSION, LICENSE_NAME, worker_tls_secret_name
from videofleet_api.phases import ASSIGNED
from videofleet_kube import ApiSession
from videofleet_kube.credentials import ServerAccess
from videofleet_kube.resources import SECRETS

Json = dict[str, Any]
SETTLES_WITHIN = 90.0
"""Seconds since the last operator was started or anything was lost: T of the oracle."""
LONGEST_ACT = 600.0
"""Seconds, however often operators are started."""

_RENEWALS = 3
"""In the quiet time at the end: where no operator leads, it is no merit that nothing is written."""


class Stage:
    """One run of a plan in an empty namespace. `run` gives the masked end state, or raises AssertionError."""

    def __init__(self, plan: Plan, api: ApiSession, access: ServerAccess, namespace: str, folder: Path) -> None:
        self.plan = plan
        self.invariants = Invariants()
        self.disturbance = WorkerFaults(plan.workers)
        self.world = World(api, namespace, self.disturbance)
        self.observer = Observer(api, namespace, self.invariants)
        self.proxy = FaultProxy(
            access,
            plan.faults,
            unlicensed=not plan.workload.licensed,
            snapshot=self.observer.snapshot,
            on_write=lambda count, call: self.strikes.written(count, call),
        )
        self.keepers: dict[str, Keeper] = {}
        self._api = api
        self._namespace = namespace
        self._folder = folder
        self._signer = Signer.new()
        self._replicas: dict[str, Replica] = {}
        self.strikes = Strikes(plan.stage, self.world, self.keepers, self._replicas, self._spawn)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[str] = []

    async def run(self) -> Json:
        """Play the plan to its end and check everything on the way."""
        async with self.playing():
            await self._play()
            await self._quiet()
            await self.check()
            return self._end_state()

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """Everything is there while the block runs; what goes wrong in it is told with what surrounds it."""
        await asyncio.to_thread(self._prepare_folder)
        async with self.proxy:
            await self.world.open()
            await self.observer.start()
            try:
                await self._begin()
                yield
            except AssertionError as error:
                raise AssertionError(f"plan {self.plan.name}: {error}\n{self._told()}") from None
            finally:
                await self._end()

    def _prepare_folder(self) -> None:
        (self._folder / "keys").mkdir(parents=True)
        (self._folder / "keys" / "vendor.pem").write_text(self._signer.public_pem)

    # Before and after

    async def _begin(self) -> None:
        for index in range(self.plan.replicas):
            await self._add_replica(f"replica-{index}", self.plan.skew if index else 0.0)
        if self.plan.workload.licensed:
            assert await self._api.get(LICENSES, None, LICENSE_NAME) is None, "another plan's VideoLicense is there"

    async def _add_replica(self, name: str, skew: float) -> None:
        kubeconfig = self._folder / f"{name}.kubeconfig"
        process = OperatorProcess(
            self._folder / f"{name}.log",
            str(kubeconfig),
            environment=skewed(skew),
            namespace=self._namespace,
            namespaces=self._namespace,
            identity=name,
            lease_duration=str(self.plan.lease),
            licence_public_keys=str(self._folder / "keys"),
        )
        self._replicas[name] = replica = await self.proxy.open(name, process.kill)
        await asyncio.to_thread(kubeconfig.write_text, replica.kubeconfig)
        self.keepers[name] = Keeper(process, name)
        self.keepers[name].start()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(keeper.stop() for keeper in self.keepers.values()))
        await self.observer.stop()
        await self.world.close()
        if self.plan.workload.licensed:
            await self._api.delete(LICENSES, None, LICENSE_NAME)

    # The workload

    async def _play(self) -> None:
        acts = self.plan.workload.acts
        for number, act in enumerate(acts, start=1):
            for change in act.changes:
                await self._make(change)
            if self.plan.hasty and number < len(acts):
                await asyncio.sleep(0.3)
            else:
                await self.until(self._settled(number), f"act {number} of {self.plan.workload.name} settles")

    async def _make(self, change: Change) -> None:
        match change:
            case Workers(spec):
                await self.world.pool(POOL, **spec)
            case Add(name, spec, scripts):
                if scripts:
                    self.world.scripts[name] = scripts
                await self.world.job(name, **spec)
            case Edit(name, spec):
                await self.world.edit(JOBS, name, **spec)
            case Remove(name):
                await self.world.delete(JOBS, name)
            case Limit(streams):
                await self._license(streams)
            case Leave(name):
                job = self.observer.named("videojobs", name)
                assert job is not None
                await self.world.terminate(job["status"]["worker"]["name"])

    async def _license(self, streams: int) -> None:
        # Until the operator has told of the new limit, the old one is the one that it can know.
        first = self.invariants.limit is None
        self.invariants.limit = max(streams, self.invariants.limit or 0)
        name = f"licence-{streams}"
        await self.world.secret(name, license=self._signer.sign(streams))
        spec = {"secretRef": {"namespace": self._namespace, "name": name}}
        if first:
            body = {"apiVersion": API_VERSION, "kind": "VideoLicense", "metadata": {"name": LICENSE_NAME}}
            await self._api.create(LICENSES, None, {**body, "spec": spec})
        else:
            await self._api.patch(LICENSES, None, LICENSE_NAME, {"spec": spec})
        self._spawn(self._lower_limit(streams))

    async def _lower_limit(self, streams: int) -> None:
        while True:
            found = await self._api.get(LICENSES, None, LICENSE_NAME) or {}
            if (found.get("status") or {}).get("maxStreams") == streams:
                self.invariants.limit = streams
                return
            await asyncio.sleep(0.05)

    # What must come true

    async def until(self, problem: Callable[[], str | None], what: str) -> None:
        """Wait until the check has nothing to object to; time counts from the last start of an operator or worker."""
        began = last = time.monotonic()
        disturbances = self._disturbances
        while (objection := problem()) is not None:
            assert not self.invariants.violations, "\n".join(self.invariants.violations)
            assert not self._failures, "\n".join(self._failures)
            assert self.observer.blind is None, self.observer.blind
            if disturbances != self._disturbances:
                last, disturbances = time.monotonic(), self._disturbances
            late = time.monotonic() > min(last + SETTLES_WITHIN, began + LONGEST_ACT)
            assert not late, f"not within {time.monotonic() - began:.0f} s: {what}: {objection}"
            await asyncio.sleep(0.05)

    @property
    def _disturbances(self) -> int:
        return len(self.strikes.struck) + sum(keeper.starts for keeper in self.keepers.values())

    def _settled(self, acts: int) -> Callable[[], str | None]:
        expected = self.plan.workload.expected(acts)

        def problem() -> str | None:
            for name, phase in expected.items():
                job = self.observer.named("videojobs", name)
                status = None if job is None else job.get("status") or {}
                seen = GONE if status is None else f"{status.get('phase')}/{status.get('reason')}"
                if not (seen == phase or seen.startswith(f"{phase}/")):
                    return f"{name} is {seen}, expected {phase}"
                if (
                    job is not None
                    and (job.get("status") or {}).get("observedGeneration") != job["metadata"]["generation"]
                ):
                    return f"{name}: its newest spec has not been seen"
            leaving = [pod["metadata"]["name"] for pod in self._pods() if "deletionTimestamp" in pod["metadata"]]
            return f"{leaving} have not ended" if leaving else self._workers_differ()

        return problem

    def _pods(self) -> list[Json]:
        return list(self.observer.objects["pods"].values())

    def _workers_differ(self) -> str | None:
        """Whether workers run what status says and nothing else: a deleted or stopped job runs nowhere."""
        wanted: dict[tuple[str, int], str] = {}
        for job in self.observer.objects["videojobs"].values():
            status = job.get("status") or {}
            if "move" in status:
                return f"{job['metadata']['name']} is still moving"
            if status.get("phase") in ASSIGNED:
                wanted[job["metadata"]["uid"], status["epoch"]] = status["worker"]["name"]
        running = {
            (entry.uid, entry.epoch): pod
            for pod, worker in self.world.workers.items()
            for entry in worker.assigned.values()
        }
        return None if running == wanted else f"workers run {running}, status says {wanted}"

    async def _quiet(self) -> None:
        """A leader is there, and nothing but its Lease is written for `plan.quiet` seconds."""
        began = time.monotonic()
        wait = self.plan.quiet

        def problem() -> str | None:
            now = time.monotonic()
            last = max([began, *(at for at, call in self.proxy.writes if call.kind != "leases")])
            if now < last + wait:
                return f"written {now - last:.1f} s ago: {self._last_writes()}"
            renewed = [at for at, call in self.proxy.writes if call.kind == "leases" and at > now - wait]
            return None if len(renewed) >= _RENEWALS else "nobody leads"

        await self.until(problem, f"nothing is written for {wait:g} s")
        await self.until(self._settled(len(self.plan.workload.acts)), "the end state stays")

    def unused(self) -> list[object]:
        """Faults of the plan that have not struck."""
        counted = [each.fault for each in (*self.proxy.budgets, *self.disturbance.budgets) if not each.struck]
        return [*counted, *self.strikes.left]

    async def check(self) -> None:
        """What can only be told in the end."""
        self.invariants.check_workers(self.disturbance.sets, self.world.scripts.reports)
        self.invariants.check_epochs(self.world.scripts.seen)
        assert not self.invariants.violations, "\n".join(self.invariants.violations)
        for keeper in self.keepers.values():
            log = keeper.process.log_path.read_text()
            assert "Traceback" not in log, f"a traceback in the log of {keeper.name}:\n{log[-6000:]}"
            ends = [line for line in log.splitlines() if '"CRITICAL"' in line and "the Lease was lost" not in line]
            assert not ends, f"{keeper.name} ended by itself: {ends}"
        await self._check_secrets()

    async def _check_secrets(self) -> None:
        """The key of every pod that is there belongs to it, and so goes with it."""
        pods = {worker_tls_secret_name(pod["metadata"]["name"]) for pod in self._pods()}
        for secret in (await self._api.list(SECRETS, self._namespace))["items"]:
            name = secret["metadata"]["name"]
            owners = [owner["kind"] for owner in secret["metadata"].get("ownerReferences", [])]
            assert name not in pods or owners == ["Pod"], f"Secret {name} is of {owners}"

    def _end_state(self) -> Json:
        jobs = self.observer.objects["videojobs"].values()
        pools = self.observer.objects["workerpools"].values()
        runs = self.plan.workload.runs and not self.plan.hasty
        return {
            "jobs": {job["metadata"]["name"]: job_state(job, runs=runs) for job in jobs},
            "pools": {pool["metadata"]["name"]: pool_state(pool) for pool in pools},
            "pods": len(self._pods()),
        }

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(f"the plan's own doing failed: {error!r}")

    # For people

    def _last_writes(self) -> str:
        return "; ".join(str(call) for _, call in self.proxy.writes[-5:])

    def _told(self) -> str:
        lives = {
            name: [seen.brief for seen in self.world.history(name)]
            for name in sorted({job["metadata"]["name"] for job in self.observer.objects["videojobs"].values()})
        }
        text = [f"  {name}: {life}" for name, life in lives.items()]
        starts = {name: keeper.starts for name, keeper in self.keepers.items()}
        text.append(f"  starts {starts}, writes {self.proxy.counted}, logs in {self._folder}")
        return "\n".join(text)


def _seen(job: Json | None) -> str:
    status = {} if job is None else job.get("status") or {}
    return GONE if job is None else f"{status.get('phase')}/{status.get('reason')}"
