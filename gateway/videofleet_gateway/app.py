"""One gateway process: its parts, brought up in order and taken down in the reverse one."""

import asyncio
import contextlib
import importlib
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp

from videofleet_api.reach import cluster_addresses
from videofleet_archive.errors import ArchiveError
from videofleet_archive.location import Location
from videofleet_gateway.attending import Attendance
from videofleet_gateway.config import Config
from videofleet_gateway.context import Context
from videofleet_gateway.dialects import f, v
from videofleet_gateway.errors import GatewayError, Render
from videofleet_gateway.jobs.cache import JobCache
from videofleet_gateway.jobs.pools import PoolCache
from videofleet_gateway.jobs.secrets import JobSecrets
from videofleet_gateway.jobs.service import Jobs
from videofleet_gateway.jobs.urls import UrlPolicy
from videofleet_gateway.metrics import Metrics
from videofleet_gateway.results.archive import Archive
from videofleet_gateway.results.feeds import Attend
from videofleet_gateway.serving import plain
from videofleet_gateway.serving.connections import Connections
from videofleet_gateway.serving.door import Crowd
from videofleet_gateway.serving.later import Later
from videofleet_gateway.serving.paths import Branch
from videofleet_gateway.serving.servers import Listener, run_all
from videofleet_gateway.store.database import Database
from videofleet_gateway.store.keys import Keys
from videofleet_gateway.store.windows import Windows
from videofleet_gateway.tasks.upkeep import keep_up
from videofleet_gateway.vision.fleet import Fleet
from videofleet_gateway.workers import Workers
from videofleet_kube.credentials import Credentials
from videofleet_kube.session import ApiSession

Create = Callable[[Context, Crowd], ASGIApp]

_DIALECTS: Final[tuple[tuple[str, Create, Render], ...]] = (
    ("v_port", v.create_app, v.render),
    ("f_port", f.create_app, f.render),
)
"""The setting that names a dialect's port, what makes its application, and how it tells errors."""
PAGE: Final = "/ui"
"""Where the page is, on the port of V: what it shows comes from there."""
_log: Final = logging.getLogger(__name__)


class StartError(Exception):
    """The gateway cannot begin; the message says why."""


@dataclass
class Gateway:
    """What runs: a listener for each port."""

    context: Context
    database: Database
    crowd: Crowd
    connections: Connections
    ports: dict[str, Listener] = field(default_factory=dict)
    page: asyncio.Task[None] | None = None
    """Makes the page and keeps it. That it ends is a failure."""
    draining: bool = False

    async def ready(self) -> str | None:
        """Why it cannot serve now; None: it can."""
        if self.draining:
            return "it is about to stop"
        if not self.context.jobs.cache.synced:
            return "VideoJobs have not been listed yet"
        try:
            await self.database.ping()
        except GatewayError as error:
            return error.message
        return None

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer requests until told to stop; then, once nobody is sent here any more, end open streams."""
        serving = asyncio.create_task(run_all(list(self.ports.values())))
        stopping = asyncio.create_task(stop.wait())
        page = set() if self.page is None else {self.page}
        await asyncio.wait({serving, stopping} | page, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done() and not serving.done():
            self.draining = True
            await asyncio.sleep(self.context.config.drain_seconds)
        for listener in self.ports.values():
            listener.stop()
        # Only now: whoever comes again at once has to come to another replica.
        self.context.archive.stop()
        stopping.cancel()
        await asyncio.gather(serving, self.context.workers.end_views())


@asynccontextmanager
async def opened(settings: Config, credentials: Credentials) -> AsyncGenerator[Gateway, None]:
    """A gateway whose caches follow the cluster. Raises StartError, and ConfigError for a file that settings name."""
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        await database.migrate()
        session = await stack.enter_async_context(ApiSession(credentials, user_agent="videofleet-gateway"))
        cache, pools = JobCache(session, settings.namespaces), PoolCache(session, settings.namespaces)
        workers = await stack.enter_async_context(Workers(session, settings.worker_tls))
        archive = _archive(settings, Attendance(cache, workers).attend if workers.reachable else None)
        stack.push_async_callback(archive.close)
        for follow in (cache.run(), pools.run()):
            await stack.enter_async_context(_running(follow))
        context = Context(
            config=settings,
            jobs=Jobs(session, cache),
            secrets=JobSecrets(session),
            workers=workers,
            fleet=Fleet(session, pools),
            pools=pools,
            urls=UrlPolicy(settings.source_policy, settings.output_policy, cluster_addresses(os.environ)),
            keys=Keys(database),
            windows=Windows(database, time.time),
            archive=archive,
            metrics=Metrics(),
        )
        cache.on_deleted.append(lambda job: archive.job_deleted(job.namespace, job.uid))
        await stack.enter_async_context(_running(keep_up(context)))
        gateway = Gateway(context, database, Crowd(settings.max_requests), Connections(settings.max_connections))
        page = Later(lambda: _page(context, gateway.crowd), cache.wait_synced) if settings.ui else None
        if page is not None:
            gateway.page = await stack.enter_async_context(_running(page.run()))
        _listen(gateway, page)
        yield gateway


async def _page(context: Context, crowd: Crowd) -> AbstractAsyncContextManager[ASGIApp]:
    """The page, whose parts are the largest of this process: they hold up nobody else, and are not there without it."""
    web = await asyncio.to_thread(importlib.import_module, "videofleet_gateway.web")
    running: AbstractAsyncContextManager[ASGIApp] = web.running(context, crowd)
    return running


def _listen(gateway: Gateway, page: ASGIApp | None) -> None:
    settings = gateway.context.config
    gateway.ports["plain_port"] = Listener(
        plain.create_app(gateway.context.metrics, gateway.ready),
        settings.listen_host,
        settings.plain_port,
        gateway.connections,
        plain.render,
    )
    for port, create, render in _DIALECTS:
        app = create(gateway.context, gateway.crowd)
        if port == "v_port" and page is not None:
            app = Branch(PAGE, page, app)
        number = getattr(settings, port)
        gateway.ports[port] = Listener(app, settings.listen_host, number, gateway.connections, render)


def _archive(settings: Config, attend: Attend | None) -> Archive:
    where = Location(
        settings.archive,
        endpoint=settings.archive_endpoint,
        region=settings.archive_region,
        credentials=settings.archive_credentials,
    )
    try:
        return Archive(where.open(), attend)
    except ArchiveError as error:
        raise StartError(str(error)) from error


@asynccontextmanager
async def _running(work: object) -> AsyncGenerator[asyncio.Task[None], None]:
    """Work that goes on beside everything else; it ends only when cancelled."""
    assert asyncio.iscoroutine(work)
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
