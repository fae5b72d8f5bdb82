"""The jobs of a namespace as F has them: found by its ids, made, changed and taken away."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from videofleet_gateway.context import Context
from videofleet_gateway.dialects.f.settings import Settings
from videofleet_gateway.dialects.f.translation import (
    Names,
    Secrets,
    headers_secret,
    merge_patch,
    read,
    router_secret,
    written,
)
from videofleet_gateway.dialects.f.wanted import Edit, Wanted, changed, created
from videofleet_gateway.errors import Failure, GatewayError, invalid, not_found
from videofleet_gateway.jobs.job import Job
from videofleet_gateway.jobs.naming import job_name
from videofleet_gateway.jobs.secrets import HEADERS, POSTED, ROUTER, SOURCE, is_own, secret_name, source_secret
from videofleet_gateway.jobs.urls import Address, UrlError
from videofleet_kube.resources import Json

DIALECT: Final = "f"
_TRIES: Final = 5
"""Of a change, while the operator writes what becomes of the job."""


@dataclass(frozen=True)
class Entry:
    """A job under its id."""

    id: str
    job: Job
    foreign: bool
    """It was not made through F."""
    wanted: Wanted


@dataclass(frozen=True)
class _Kept:
    """Secrets that a job is to have from now on, by name."""

    names: Names
    data: dict[str, dict[str, str]]


class Catalogue:
    """Over the VideoJobs that all dialects share. `file`: settings of the video-manager's file."""

    def __init__(self, context: Context, file: Settings) -> None:
        self._context = context
        self._jobs = context.jobs
        self._file = file

    async def listing(self, namespace: str) -> list[Entry]:
        """All jobs, in the order in which they were made."""
        jobs = sorted(self._jobs.cache.in_namespace(namespace), key=lambda job: (job.created, job.name))
        entries = (self._entry(job, job.id_in(DIALECT)) for job in jobs if job.spec is not None)
        return await asyncio.gather(*entries)

    async def find(self, namespace: str, identifier: str) -> Entry:
        """The job with this id; of jobs that others have made it is their name. Raises GatewayError."""
        job = await self._find(namespace, identifier)
        if job is None or job.spec is None:
            raise not_found(f"there is no job {identifier!r}")
        return await self._entry(job, job.id_in(DIALECT))

    async def create(self, namespace: str, identifier: str, change: Edit) -> Entry:
        """A new job. Raises GatewayError, CONFLICT where there is one with this id."""
        wanted = created(change, self._file)
        known = await self._find(namespace, identifier)
        if known is not None and await self._jobs.now(known) is not None:
            raise _taken(known, identifier)
        address = self._address(wanted)
        self._check_outputs(wanted)
        kept = _kept(job_name(DIALECT, identifier), None, wanted, address)
        bare = {"analytics": [each.wire() for each in self._context.config.f_analytics]}
        spec = written(bare, wanted, address, kept.names, identifier)
        job = await self._jobs.create(DIALECT, namespace, identifier, spec)
        try:
            await self._keep(job, kept)
        except GatewayError:
            # Without what it needs it would wait for ever, and its id would be taken.
            await self._jobs.delete(job)
            raise
        return await self._entry(job, identifier)

    async def change(self, entry: Entry, change: Edit) -> Entry:
        """The job with the given attributes changed; nothing is written where nothing changes. Raises GatewayError."""
        self._check_writable(entry)
        for _ in range(_TRIES):
            # What is not given stays as it is, which is what the API server has, not what this replica has heard of.
            job = await self._jobs.now(entry.job)
            if job is None:
                raise not_found(f"there is no job {entry.id!r}")
            try:
                return await self._changed(await self._entry(job, job.id_in(DIALECT)), change)
            except GatewayError as error:
                if error.failure is not Failure.CONFLICT:
                    raise
        raise GatewayError(Failure.UNAVAILABLE, f"the job {entry.id!r} changes all the time", retry_after=1)

    async def _changed(self, entry: Entry, change: Edit) -> Entry:
        """Raises GatewayError, CONFLICT where the job has changed meanwhile."""
        job, before = entry.job, entry.wanted
        wanted = changed(before, change, self._file)
        address = self._address(wanted) if wanted.stream_url != before.stream_url else None
        self._check_outputs(wanted, before)
        kept = _kept(job.name, before, wanted, address)
        spec = written(job.raw_spec, wanted, address, kept.names, job.id_in(DIALECT))
        patch = merge_patch(job.raw_spec, spec)
        if not patch:
            return entry
        await self._keep(job, kept)
        try:
            after = await self._jobs.change(job, spec=patch, exact=True)
        except GatewayError:
            await self._context.secrets.drop(job, kept.data)
            raise
        former = _named(job.raw_spec) - _named(spec)
        await self._context.secrets.drop(job, [name for name in former if is_own(job, name)])
        return await self._entry(after, after.id_in(DIALECT))

    async def delete(self, entry: Entry) -> None:
        """Take the job away; it is gone when this returns. Raises GatewayError, DELETING where something holds it."""
        self._check_writable(entry)
        if not await self._jobs.delete(entry.job):
            raise GatewayError(Failure.DELETING, f"the job {entry.id!r} is being deleted", retry_after=1)

    async def restart(self, entry: Entry) -> Entry:
        """Have the job begin anew, whatever became of it. Raises GatewayError."""
        self._check_writable(entry)
        now = datetime.fromtimestamp(self._context.clock(), UTC).isoformat()
        job = await self._jobs.change(entry.job, spec={"restart": {"token": now}})
        return await self._entry(job, job.id_in(DIALECT))

    async def _find(self, namespace: str, identifier: str) -> Job | None:
        job = await self._jobs.find_by_id(DIALECT, namespace, identifier)
        if job is not None:
            return job
        foreign = self._jobs.cache.by_name(namespace, identifier)
        return foreign if foreign is not None and foreign.id_in(DIALECT) is None else None

    async def _entry(self, job: Job, identifier: str | None) -> Entry:
        assert job.spec is not None
        writable = identifier is not None or self._context.config.f_adopt_foreign
        secrets = await self._secrets(job) if writable else Secrets()
        return Entry(identifier or job.name, job, identifier is None, read(job.spec, secrets, identifier))

    async def _secrets(self, job: Job) -> Secrets:
        """What those who may change the job see of it."""
        assert job.spec is not None
        source, router = job.spec.source, job.spec.outputs.router
        ref = source.url_secret_ref or source.credentials_secret_ref
        kept = await self._context.secrets.read(job, ref.name) if ref is not None else None
        headers = router.headers_secret_ref if router is not None else None
        found = await self._context.secrets.read(job, headers.name) if headers is not None else None
        return Secrets((kept or {}).get(POSTED), found, await self._routers(job))

    async def _routers(self, job: Job) -> dict[str, str]:
        """The router's addresses that are in Secrets, as far as they are the job's own."""
        assert job.spec is not None
        router = job.spec.outputs.router
        refs = {"url": router.url_secret_ref, "eventsUrl": router.events_url_secret_ref} if router is not None else {}
        found = {}
        for name, ref in refs.items():
            data = await self._context.secrets.read(job, ref.name) if ref is not None else None
            if ref is not None and data is not None and ref.key in data:
                found[name] = data[ref.key]
        return found

    async def _keep(self, job: Job, kept: _Kept) -> None:
        for name, data in kept.data.items():
            await self._context.secrets.make(job, name, data)

    def _address(self, wanted: Wanted) -> Address:
        try:
            return self._context.urls.source(wanted.stream_url)
        except UrlError as error:
            raise invalid("stream_url", f"stream_url: {error}", wanted.stream_url) from error

    def _check_outputs(self, wanted: Wanted, before: Wanted | None = None) -> None:
        for name in ("router_url", "router_events_url"):
            url = getattr(wanted, name)
            try:
                if url and (before is None or url != getattr(before, name)):
                    self._context.urls.output(url)
            except UrlError as error:
                raise invalid(name, f"{name}: {error}", url) from error

    def _check_writable(self, entry: Entry) -> None:
        if entry.foreign and not self._context.config.f_adopt_foreign:
            message = f"the job {entry.id!r} was not made through this interface, and is left alone by it"
            raise GatewayError(Failure.CONFLICT, message, param="id")


def _kept(job: str, before: Wanted | None, wanted: Wanted, address: Address | None) -> _Kept:
    """What becomes other than before (None: there was no job), each in a Secret of a new name."""

    def is_other(part: Callable[[Wanted], object]) -> bool:
        return before is None or part(wanted) != part(before)

    source = source_secret(wanted.stream_url, address) if address is not None else None
    headers = headers_secret(wanted) if is_other(lambda one: one.stream_settings.get("router_headers")) else None
    router = router_secret(wanted) if is_other(router_secret) else {}
    names = Names(
        secret_name(job, SOURCE) if source is not None else None,
        secret_name(job, HEADERS) if headers is not None else None,
        secret_name(job, ROUTER) if router else None,
    )
    pairs = ((names.source, source), (names.headers, headers), (names.router, router))
    return _Kept(names, {name: data for name, data in pairs if name is not None and data is not None})


def _named(spec: Json) -> set[str]:
    """The Secrets that a spec names for its source and its router's headers."""
    source, router = spec.get("source") or {}, (spec.get("outputs") or {}).get("router") or {}
    of_source = (source.get(name) for name in ("urlSecretRef", "credentialsSecretRef"))
    of_router = (router.get(name) for name in ("headersSecretRef", "urlSecretRef", "eventsUrlSecretRef"))
    return {ref["name"] for ref in (*of_source, *of_router) if ref}


def _taken(job: Job, identifier: str) -> GatewayError:
    if job.deleting:
        return GatewayError(Failure.DELETING, f"the job {identifier!r} is being deleted", retry_after=1)
    return GatewayError(Failure.CONFLICT, f"there is a job {identifier!r} already", param="id")
