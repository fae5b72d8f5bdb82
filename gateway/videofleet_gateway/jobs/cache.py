"""The VideoJobs of the cluster, followed: what every read of the gateway is answered from."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from videofleet_api.names import GROUP, VERSION
from videofleet_gateway.jobs.job import Job
from videofleet_kube.cache import Change
from videofleet_kube.reflector import Reflector
from videofleet_kube.resources import Json, Resource
from videofleet_kube.session import ApiSession

VIDEOJOBS: Final = Resource(GROUP, VERSION, "videojobs")


class JobCache:
    """Jobs by namespace, and who waits for one of them to change."""

    def __init__(self, session: ApiSession, namespaces: Sequence[str] = ()) -> None:
        self._jobs: dict[str, dict[str, Job]] = defaultdict(dict)
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self.listeners: list[Callable[[Job], None]] = []
        """Called with every job that is new or has changed; quick, and raise nothing."""
        self.on_deleted: list[Callable[[Job], None]] = []
        self._reflector: Reflector[Job] = Reflector(
            session, VIDEOJOBS, tuple(namespaces) or None, self._changed, Job.of
        )

    async def run(self) -> None:
        """Follow the API server until cancelled."""
        await self._reflector.run()

    @property
    def synced(self) -> bool:
        """Whether all jobs have been listed once."""
        return self._reflector.synced.is_set()

    async def wait_synced(self) -> None:
        """Until they have."""
        await self._reflector.synced.wait()

    def in_namespace(self, namespace: str) -> list[Job]:
        """All jobs of a namespace."""
        return list(self._jobs.get(namespace, {}).values())

    def all(self) -> list[Job]:
        """All jobs."""
        return [job for jobs in self._jobs.values() for job in jobs.values()]

    def by_name(self, namespace: str, name: str) -> Job | None:
        """The job of this name."""
        return self._jobs.get(namespace, {}).get(name)

    def by_uid(self, uid: str) -> Job | None:
        """The job of this uid."""
        return self._reflector.cache.get(uid)

    def feed(self, obj: Json) -> Job:
        """Take in what a write or a read of the API server returned, ahead of its event."""
        self._reflector.feed(obj)
        return Job.of(obj)

    def gone(self, job: Job) -> None:
        """Forget a job that the API server has no more, ahead of its event."""
        self._reflector.gone(job.uid)

    def changed(self, uid: str) -> asyncio.Future[None]:
        """Done with the next change of this job; shared by all who wait for it, so never cancel it (shield it)."""
        future = self._waiting.get(uid)
        if future is None:
            future = self._waiting[uid] = asyncio.get_running_loop().create_future()
        return future

    def _changed(self, change: Change[Job]) -> None:
        jobs = self._jobs[change.namespace]
        if change.new is not None:
            jobs[change.name] = change.new
        elif change.name in jobs and jobs[change.name].uid == change.uid:
            del jobs[change.name]
        for listener in self.listeners if change.new is not None else self.on_deleted:
            job = change.new or change.old
            if job is not None:
                listener(job)
        future = self._waiting.pop(change.uid, None)
        if future is not None and not future.done():
            future.set_result(None)
