"""Changes of VideoJobs on behalf of clients: of their specs and annotations, never of their status."""

import asyncio
from typing import Final

from videofleet_api.names import API_VERSION
from videofleet_gateway.errors import Failure, GatewayError, of_api
from videofleet_gateway.jobs.cache import VIDEOJOBS, JobCache
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.jobs.naming import id_annotation, job_name
from videofleet_kube.errors import AlreadyExists, ApiError
from videofleet_kube.resources import Json
from videofleet_kube.session import ApiSession

GONE_WITHIN: Final = 1.5
"""Seconds that a deleted job has until it is asked whether something holds it."""


class Jobs:
    """Reads from the cache, writes to the API server; what was written is read at once."""

    def __init__(self, session: ApiSession, cache: JobCache) -> None:
        self.cache = cache
        self._session = session

    async def find(self, namespace: str, name: str) -> Job | None:
        """The job of this name. One that the cache lacks may have been made through another replica just now."""
        known = self.cache.by_name(namespace, name)
        if known is not None:
            return known
        try:
            obj = await self._session.get(VIDEOJOBS, namespace, name)
        except ApiError as error:
            raise of_api(error) from error
        return None if obj is None else self.cache.feed(obj)

    async def find_by_id(self, dialect: str, namespace: str, identifier: str) -> Job | None:
        """The job that was made through a dialect with this id."""
        job = await self.find(namespace, job_name(dialect, identifier))
        return job if job is not None and job.id_in(dialect) == identifier else None

    async def create(
        self, dialect: str, namespace: str, identifier: str, spec: Json, annotations: dict[str, str] | None = None
    ) -> Job:
        """Make a job. Raises GatewayError, CONFLICT where the id is taken."""
        body: Json = {
            "apiVersion": API_VERSION,
            "kind": "VideoJob",
            "metadata": {
                "name": job_name(dialect, identifier),
                "annotations": {id_annotation(dialect): identifier, **(annotations or {})},
            },
            "spec": spec,
        }
        try:
            return self.cache.feed(await self._session.create(VIDEOJOBS, namespace, body))
        except AlreadyExists as error:
            raise GatewayError(Failure.CONFLICT, f"there is a job {identifier!r} already", param="id") from error
        except ApiError as error:
            raise of_api(error) from error

    async def change(
        self,
        job: Job,
        *,
        spec: Json | None = None,
        annotations: dict[str, str | None] | None = None,
        exact: bool = False,
    ) -> Job:
        """Merge (RFC 7396) into spec and annotations of this very job; `exact`: only at the version that was read."""
        metadata: Json = {"uid": job.uid}
        if annotations:
            metadata["annotations"] = annotations
        if exact:
            metadata["resourceVersion"] = job.version
        body: Json = {"metadata": metadata} | ({"spec": spec} if spec is not None else {})
        try:
            return self.cache.feed(await self._session.patch(VIDEOJOBS, job.namespace, job.name, body))
        except ApiError as error:
            raise of_api(error) from error

    async def delete(self, job: Job) -> bool:
        """Delete this very job and wait for it to be gone. False: something still holds it."""
        try:
            await self._session.delete(VIDEOJOBS, job.namespace, job.name, uid=job.uid)
        except ApiError as error:
            raise of_api(error) from error
        try:
            async with asyncio.timeout(GONE_WITHIN):
                while self.cache.by_uid(job.uid) is not None:
                    await asyncio.shield(self.cache.changed(job.uid))
        except TimeoutError:
            # The watch may be late.
            if await self.now(job) is not None:
                return False
            self.cache.gone(job)
        return True

    async def now(self, job: Job) -> Job | None:
        """This very job as the API server has it: another replica may have changed or deleted it just now."""
        try:
            obj = await self._session.get(VIDEOJOBS, job.namespace, job.name)
        except ApiError as error:
            raise of_api(error) from error
        return self.cache.feed(obj) if obj is not None and obj["metadata"]["uid"] == job.uid else None
