"""Everything of one operator replica, put together, started and stopped in order."""

import asyncio
import datetime
import gc
import logging
import os
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import aiohttp

from videofleet_api.environment import ConfigError
from videofleet_kube import tls_buffers
from videofleet_kube.credentials import discover
from videofleet_kube.errors import ApiError
from videofleet_kube.events import EventRecorder
from videofleet_kube.kubeconfig import CredentialsError
from videofleet_kube.lease import LeaseElector, LeaseTimes
from videofleet_kube.resources import SECRETS
from videofleet_kube.session import ApiSession
from videofleet_kube.writes import WriteQueue
from videofleet_operator.config import Config
from videofleet_operator.domain.model import Pace
from videofleet_operator.metrics import Metrics
from videofleet_operator.services import authority, payload, reader_key
from videofleet_operator.services.announcements import Announcer
from videofleet_operator.services.answers import Answers
from videofleet_operator.services.budgets import BudgetKeeper
from videofleet_operator.services.caches import Caches
from videofleet_operator.services.expiry import Expiry
from videofleet_operator.services.finalizer import Finalizer
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.gather import Gatherer
from videofleet_operator.services.health import HealthServer
from videofleet_operator.services.licences import LicenceKeeper
from videofleet_operator.services.pools import PoolKeeper
from videofleet_operator.services.probes import Probes
from videofleet_operator.services.reconciler import Reconciler
from videofleet_operator.services.secrets import SecretStore
from videofleet_operator.services.statistics import StatisticsRefresher
from videofleet_operator.services.statuses import StatusWriter
from videofleet_operator.services.waits import Waits
from videofleet_operator.services.worker_keys import WorkerKeys

log = logging.getLogger(__name__)

_STUCK = 30.0
"""Seconds without a turn of the loop after which the process is to be restarted."""
_PROCESS = "_"
"""Between the name of a replica and the mark of its process in the Lease."""
_LONGEST_FENCE = 5.0
"""Seconds; at most so much of the Lease must be left for a request to be sent."""


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class StartError(Exception):
    """The replica cannot start. `passing`: another try may pass, nothing of this one is left."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"cannot start: {cause}")
        self.passing = isinstance(cause, ApiError) and cause.retryable


class Application:
    """One replica. `failed` is called once with the reason when it cannot go on."""

    def __init__(self, config: Config, failed: Callable[[str], None]) -> None:
        self._config = config
        self._failed = failed
        # What a leader that cannot renew has left when it steps down; it is also each write's time-out.
        self._fence = min(_LONGEST_FENCE, config.lease_duration / 3)
        self._stack = AsyncExitStack()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._ready_term: int | None = None
        self._dirty = asyncio.Event()
        self._fleet: Fleet | None = None
        self._finalizer: Finalizer | None = None
        self._health: HealthServer | None = None
        self.metrics = Metrics()
        self.port = 0
        """Port of the health endpoint in use."""

    async def start(self) -> None:
        """Connect, load what must be there, start following and campaigning. Raises StartError."""
        try:
            await self._start()
        except (ApiError, CredentialsError, authority.AuthorityError, ConfigError, OSError) as error:
            await self.stop()
            raise StartError(error) from error

    async def _start(self) -> None:
        config = self._config
        api = await self._stack.enter_async_context(ApiSession(discover(os.environ)))
        now = _utc_now()
        keys = await authority.load_or_create(api, config.namespace, config.authority_secret, now)
        if config.reader_secret:
            await reader_key.make_good(api, config.namespace, config.reader_secret, keys, now)
        tls_buffers.shrink()
        # The default of 100 connections would starve a large fleet.
        http = await self._stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))

        self._caches = Caches.of(api, config.namespaces or None, self._dirty.set)
        self._elector = self._make_elector(api)
        queue = WriteQueue(api, self._may_write, request_timeout=self._fence)
        watches = {kind: each.counters for kind, each in self._caches.all().items()}
        self.metrics.follow(lambda: api.requests, watches, queue.counters)
        recorder = EventRecorder(api, "videofleet-operator", config.identity, gate=self._leads)
        secret_store = SecretStore(api, self._dirty.set, time.monotonic)
        self._fleet = fleet = Fleet(
            http,
            authority.client_context(keys, now),
            term=self._term,
            changed=self._dirty.set,
            clock=time.monotonic,
            name=await authority.identity(api, config.namespace, config.authority_secret),
        )
        self._finalizer = Finalizer(fleet.notes, fleet.finalized, self._dirty.set, config.namespaces, time.monotonic)
        announcer = Announcer(recorder)
        licences = LicenceKeeper(
            config, self._caches, secret_store, queue, self.metrics, lambda: self._elector.renewed_at
        )
        self._statuses = StatusWriter(queue, self._caches, announcer, self.metrics, self._dirty.set, time.monotonic)
        self._waits = Waits(announcer, time.monotonic)
        answers = Answers(self._leads, self._leader)
        worker_keys = WorkerKeys(api, queue, keys, _utc_now)
        budgets = BudgetKeeper(self._caches, queue)
        pools = PoolKeeper(
            config.worker_image, self._caches, fleet, queue, announcer, worker_keys, budgets, self._dirty.set
        )
        self.metrics.follow_pools(lambda: pools.figures)
        digest_key = payload.digest_key(keys.key)
        gatherer = Gatherer(self._caches, fleet, secret_store, licences.secret_keys, digest_key, pools.updates.mark)
        refresher = StatisticsRefresher(
            lambda: gatherer.known,
            fleet.report,
            self._statuses,
            self._leads,
            wall=time.time,
            clock=time.monotonic,
            delivered=self._finalizer.delivered,
        )
        probes = Probes(
            lambda: answers.snapshot,
            lambda: gatherer.known,
            fleet.session,
            partial(api.get, SECRETS),
            self._leader,
        )
        self._reconciler = Reconciler(
            caches=self._caches,
            gatherer=gatherer,
            fleet=fleet,
            licences=licences,
            statuses=self._statuses,
            pools=pools,
            waits=self._waits,
            answers=answers,
            finalizer=self._finalizer,
            expiry=Expiry(queue, self._dirty.set, time.monotonic),
            metrics=self.metrics,
            pace=Pace(config.source_start_burst, config.source_starts_per_second),
            leads=self._leads,
            dirty=self._dirty,
        )
        self._health = HealthServer(
            config.listen_host,
            config.listen_port,
            self.metrics.registry,
            live=self._live,
            ready=self._ready,
            routes=[*answers.routes(), *probes.routes()],
        )
        self.port = await self._health.start()
        self._spawn("caches", self._follow())
        self._spawn("secrets", secret_store.run())
        self._spawn("writes", queue.run())
        self._spawn("events", recorder.run())
        self._spawn("keys", worker_keys.run())
        self._spawn("reconciler", self._reconciler.run())
        self._spawn("statistics", refresher.run())
        self._spawn("election", self._elector.run())
        log.info("operator started", extra={"port": self.port, "identity": config.identity})

    async def stop(self) -> None:
        """Stop in the order that lets another replica take over at once: the Lease is released last."""
        self._stopping = True
        if self._health is not None:
            await self._health.close()
        for name in ("statistics", "reconciler", "keys", "events", "secrets", "caches", "writes", "election"):
            task = self._tasks.pop(name, None)
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._finalizer is not None:
            await self._finalizer.close()
        if self._fleet is not None:
            await self._fleet.close()
        await self._stack.aclose()
        if self.port:
            log.info("operator stopped")

    # Leadership

    def _make_elector(self, api: ApiSession) -> LeaseElector:
        config = self._config
        duration = config.lease_duration
        return LeaseElector(
            api,
            config.namespace,
            config.lease_name,
            # A container that restarts in its pod must not take its predecessor's Lease for its own.
            f"{config.identity}{_PROCESS}{secrets.token_hex(4)}",
            times=LeaseTimes(duration=duration, renew_deadline=duration * 2 / 3, retry=duration * 2 / 15),
            on_started=self._started_leading,
            on_stopped=self._stopped_leading,
        )

    def _started_leading(self, term: int) -> None:
        log.info("leading", extra={"term": term})
        self._spawn(f"refresh-{term}", self._refresh(term))

    async def _follow(self) -> None:
        """Whoever has the Lease at once needs one list; one begun before would have to be read again."""
        await self._elector.looked.wait()
        await self._caches.run()

    async def _refresh(self, term: int) -> None:
        """A new leader decides nothing before its caches have reached a list begun after it acquired the Lease."""
        await self._caches.refreshed()
        self._statuses.forget()
        self._waits.forget()
        # What has been listed stays. A full collection would look at all of it, and nothing else would run meanwhile.
        gc.freeze()
        self._ready_term = term
        self._reconciler.begin()

    def _stopped_leading(self) -> None:
        self._ready_term = None
        if not self._stopping:
            self._fail("the Lease was lost")

    def _leads(self) -> bool:
        return self._term() is not None

    def _term(self) -> int | None:
        term = self._elector.term
        return term if term is not None and term == self._ready_term else None

    def _leader(self) -> str:
        return self._elector.holder.rpartition(_PROCESS)[0]

    def _may_write(self) -> bool:
        return self._leads() and self._elector.remaining() > self._fence

    # Health

    def _live(self) -> str | None:
        silent = time.monotonic() - self._reconciler.beat
        return f"the reconciler has not turned for {silent:.0f} s" if silent > _STUCK else None

    def _ready(self) -> str | None:
        return None if self._caches.synced else "not everything has been listed yet"

    # Tasks

    def _spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._stopping:
            return
        error = task.exception()
        if error is not None:
            log.critical("task failed", extra={"task": name}, exc_info=error)
            self._fail(f"{name} failed: {error}")

    def _fail(self, why: str) -> None:
        self._failed(why)
