"""Many VideoJobs at once: made, watched, counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from tests.support.waiting import until_changed
from videofleet_api.names import API_VERSION, GROUP, VERSION
from videofleet_kube import ApiSession, Change, Json, Reflector, Resource
from videofleet_kube.errors import NotFound

JOBS = Resource(GROUP, VERSION, "videojobs")
POOLS = Resource(GROUP, VERSION, "workerpools")
URL = "rtsp://{name}.example/1"
"""Each at a host of its own, for starts at one host are spaced."""


@dataclass(frozen=True, slots=True)
class JobView:
    """What the watch told last of a job."""

    name: str
    phase: str
    epoch: int
    worker: str
    """uid of its worker's pod."""
    version: str

    @classmethod
    def of(cls, job: Json) -> JobView:
        """From the API's object."""
        status, metadata = job.get("status") or {}, job["metadata"]
        worker = (status.get("worker") or {}).get("id", "")
        version = metadata["resourceVersion"]
        return cls(metadata["name"], status.get("phase", ""), int(status.get("epoch", 0)), worker, version)


class Crowd:
    """The VideoJobs of a namespace: how many are in each phase, and when each came into a phase first."""

    def __init__(self, api: ApiSession, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.phases: Counter[str] = Counter()
        self.entered: dict[tuple[str, str], float] = {}
        """Monotonic time of the first event of a job in a phase, by (name, phase)."""
        self.events = 0
        self.on_event: Callable[[JobView | None], None] | None = None
        self._changed = asyncio.Event()
        self._reflector: Reflector[JobView] = Reflector(api, JOBS, [namespace], self._on_change, JobView.of)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Crowd:
        self._task = asyncio.create_task(self._reflector.run())
        await self._reflector.synced.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def jobs(self) -> list[JobView]:
        """Every job as it was told last."""
        return list(self._reflector.cache.values())

    def _on_change(self, change: Change[JobView]) -> None:
        self.events += 1
        if change.old is not None:
            self.phases[change.old.phase] -= 1
        if change.new is not None:
            self.phases[change.new.phase] += 1
            self.entered.setdefault((change.new.name, change.new.phase), time.monotonic())
        if self.on_event is not None:
            self.on_event(change.new)
        self._changed.set()

    async def until(self, check: Callable[[], bool], what: str, timeout: float = 120.0) -> float:
        """Monotonic time at which `check` was true; asked again after each change. AssertionError after `timeout`."""

        def told() -> str:
            phases = {phase or "(new)": count for phase, count in self.phases.items() if count}
            return f"{what}; phases: {phases}"

        return await until_changed(self._changed, check, told, timeout)

    async def until_phase(self, count: int, phase: str = "INPROGRESS", timeout: float = 120.0) -> float:
        """Monotonic time at which so many jobs were in a phase."""
        return await self.until(lambda: self.phases[phase] >= count, f"{count} jobs are {phase}", timeout)

    async def quiet(self, seconds: float, timeout: float = 60.0) -> None:
        """Wait until no job has changed for so long. AssertionError after `timeout`."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self._changed.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                return
        raise AssertionError(f"jobs still change after {timeout:g} s")

    async def create(self, names: Iterable[str], url: str = URL, at_once: int = 32, **spec: object) -> None:
        """Create jobs of these names."""

        async def one(name: str) -> None:
            await self.api.create(JOBS, self.namespace, job_body(name, url, **spec))

        await in_swarm(one, names, at_once)

    async def delete(self, names: Iterable[str], at_once: int = 32) -> None:
        """Delete these jobs; one that is gone already is fine."""

        async def one(name: str) -> None:
            await self.api.delete(JOBS, self.namespace, name)

        await in_swarm(one, names, at_once)

    async def edit(self, name: str, **spec: object) -> None:
        """Merge into a job's spec; one that is gone already is fine."""
        try:
            await self.api.patch(JOBS, self.namespace, name, {"spec": spec})
        except NotFound:
            return


def job_body(name: str, url: str = URL, **spec: object) -> Json:
    """A VideoJob that any simulated worker can run."""
    steps = [{"model": "detect"}, {"model": "track"}]
    given = {"source": {"url": url.format(name=name)}, "analytics": [{"steps": steps}], **spec}
    return {"apiVersion": API_VERSION, "kind": "VideoJob", "metadata": {"name": name}, "spec": given}


def pool_body(name: str, workers: int, capacity: int, **spec: object) -> Json:
    """A WorkerPool of a fixed number of workers without accelerators that ask for next to nothing."""
    given = {
        "accelerator": {"type": "none"},
        "minWorkers": workers,
        "maxWorkers": workers,
        "capacityPerWorker": capacity,
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
        **spec,
    }
    return {"apiVersion": API_VERSION, "kind": "WorkerPool", "metadata": {"name": name}, "spec": given}


async def in_swarm(do: Callable[[str], Awaitable[None]], names: Iterable[str], at_once: int = 32) -> None:
    """Do something for each name, at most so many at the same time."""
    left = iter(names)

    async def work() -> None:
        for name in left:
            await do(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
