"""What receivers do not have yet of runs that no worker has any more, or not this one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from videofleet_api.protocol import Entry
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError
from videofleet_archive.threads import StoreThreads
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.logs import Secrets
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.earlier import earlier_runs, serving
from videofleet_worker.pipeline.outlets import JobOutlets
from videofleet_worker.pipeline.receivers import has_receivers

_LOGGER: Final = logging.getLogger(__name__)
_LEAVE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 10.0


@dataclass(frozen=True, eq=False)
class Leftover:
    """Outlets of a job whose run is over here, with something to deliver."""

    entry: Entry
    outlets: JobOutlets


class Leftovers:
    """Delivers the rest of runs that have ended or were taken away, beside everything else.

    It ends when all is delivered or given up, or another epoch does it. What is left when the worker ends lies in the
    archive, where the operator finds it noted.
    """

    def __init__(self, secrets: Secrets) -> None:
        """`secrets` learns whose credentials are still in use."""
        self._secrets = secrets
        self._tasks: dict[Leftover, asyncio.Task[bool]] = {}
        self._looking: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Leftover]:
        return iter(tuple(self._tasks))

    async def leave(self, entry: Entry, outlets: JobOutlets, told: Callable[[], Awaitable[None]]) -> None:
        """Close these, at once where nothing is left, and else when it is delivered; `told` is called then."""
        if await outlets.flush(_LEAVE_SECONDS):
            await outlets.close()
            await told()
            return
        self._take(entry, outlets, told)

    async def deliver(self, entry: Entry, outlets: JobOutlets, seconds: float) -> bool:
        """Deliver what is in these, for at most so long, and close them; whether everybody has everything."""
        task = self._take(entry, outlets)
        try:
            await asyncio.wait([task], timeout=seconds)
        finally:
            task.cancel()
            await asyncio.wait([task])
        return not task.cancelled() and task.result()

    def of(self, uid: str, runs: Collection[int]) -> list[Leftover]:
        """What is being delivered here of these runs of a job."""
        return [one for one in self._tasks if one.entry.uid == uid and one.entry.run in runs]

    async def stop(self, leftovers: Iterable[Leftover]) -> None:
        """Deliver these no more, and note how far everybody is."""
        tasks = [self._tasks[one] for one in leftovers if one in self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def over(self, leftovers: Collection[Leftover], seconds: float) -> bool:
        """Wait, for at most so long, until these are over; whether they are."""
        tasks = [task for one, task in self._tasks.items() if one in leftovers]
        return not tasks or not (await asyncio.wait(tasks, timeout=seconds))[1]

    def look_back(self, job: Job, threads: StoreThreads, ways: WaysOut) -> None:
        """Deliver what workers that are no more have left of the job's earlier runs. Nothing waits for it."""
        if job.entry.run > 1 and has_receivers(job.spec.outputs):
            looking = asyncio.create_task(self._look_back(job, threads, ways), name=f"look back of job {job.uid}")
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)

    async def _look_back(self, job: Job, threads: StoreThreads, ways: WaysOut) -> None:
        entry, wanted = job.entry, job.spec.outputs
        known = {one.entry.run for one in self if one.entry.uid == entry.uid}
        try:
            found = await earlier_runs(entry, threads, known)
        except (ArchiveError, ArchiveCorruptError) as error:
            _LOGGER.warning("cannot see what was left of earlier runs: %s", error, extra={"uid": entry.uid})
            return
        for run, outboxes in found.items():
            self._take(entry.model_copy(update={"run": run}), serving(outboxes, wanted, ways))

    def _take(
        self, entry: Entry, outlets: JobOutlets, told: Callable[[], Awaitable[None]] | None = None
    ) -> asyncio.Task[bool]:
        leftover = Leftover(entry, outlets)
        task = self._tasks[leftover] = asyncio.create_task(_deliver(leftover, told), name=f"rest of job {entry.uid}")
        self._secrets.need(entry.uid)
        task.add_done_callback(lambda _: self._over(leftover))
        return task

    def _over(self, leftover: Leftover) -> None:
        self._tasks.pop(leftover)
        self._secrets.need_no_more(leftover.entry.uid)

    async def close(self) -> None:
        """Note how far everybody is."""
        left = [*self._looking, *self._tasks.values()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)


async def _deliver(leftover: Leftover, told: Callable[[], Awaitable[None]] | None) -> bool:
    """Whether everybody has everything now."""
    outlets, all_told = leftover.outlets, False
    try:
        while not all_told and not await _is_anothers(outlets):
            all_told = await outlets.flush(_LOOK_SECONDS)
    finally:
        await outlets.close()
    if all_told and told is not None:
        await told()
    return all_told


async def _is_anothers(outlets: JobOutlets) -> bool:
    try:
        return await outlets.is_anothers()
    except ArchiveError as error:
        _LOGGER.warning("cannot see who tells the rest: %s", error)
        return False
