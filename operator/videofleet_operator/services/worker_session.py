"""The operator's line to one worker: its events in, its assignments out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
import orjson
from pydantic import ValidationError

from videofleet_api.finalize import Finalize, Notes
from videofleet_api.names import WORKER_API_PORT, worker_server_name
from videofleet_api.probe import ProbeReport, ProbeRequest
from videofleet_api.protocol import (
    EVENT_LINE,
    AssignmentAnswer,
    AssignmentConflict,
    AssignmentSet,
    Delivered,
    Finalized,
    Heartbeat,
    Inventory,
    JobEvent,
    WorkerInfo,
)
from videofleet_operator.domain.reports import Report
from videofleet_operator.services.wanted import Identity, Wanted, same

log = logging.getLogger(__name__)

_SILENCE = 8.0
"""Seconds without a line (heartbeats come every 2) after which the connection is taken for dead and dialled anew."""
_CALL_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
_NOTES_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=3)
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=3, sock_read=_SILENCE)
_BACKOFF = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
_PROBE_MARGIN = 5.0
"""Seconds that a worker may take beyond those that it was given."""
_LONGEST_LINE = 16 * 1024 * 1024


class BusyError(Exception):
    """The worker cannot do it just now, and says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker answers, and the name that its certificate must carry."""

    namespace: str
    pod: str
    pod_uid: str
    ip: str
    port: int = WORKER_API_PORT

    @property
    def base(self) -> str:
        """URL of the API."""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"https://{host}:{self.port}"

    @property
    def server_name(self) -> str:
        """Name in the certificate."""
        return worker_server_name(self.namespace, self.pod)


@dataclass(slots=True)
class WorkerState:
    """What the worker told last."""

    info: WorkerInfo | None = None
    connected: bool = False
    last_line: float = 0.0
    """Monotonic time of the last line of its event stream; before the first one, of the first attempt to reach it."""
    reports: dict[str, Report] = field(default_factory=dict)
    served: bool = False
    """Whether it was ever given a job, by this operator or by another, by this process of the pod or by another."""
    finalized: dict[str, Delivered | None] = field(default_factory=dict)
    """What it was told to finalize, and has, by key, with how the receivers are that it was about."""


class WorkerSession:
    """Keeps one worker's event stream open and its assignments as wanted.

    `changed` is called whenever something that a plan depends on has changed; `term` gives the Lease's term, or None
    while this operator does not lead: then the session listens and assigns nothing. `asking` bounds how many sessions
    ask at once: the handshakes of a thousand would outlast the time that each has.
    """

    def __init__(
        self,
        address: Address,
        http: aiohttp.ClientSession,
        tls: ssl.SSLContext,
        *,
        term: Callable[[], int | None],
        changed: Callable[[], None],
        clock: Callable[[], float],
        asking: asyncio.Semaphore,
        fleet: str = "",
    ) -> None:
        self.address = address
        self.state = WorkerState(last_line=clock())
        self._http = http
        self._tls = tls
        self._term = term
        self._changed = changed
        self._clock = clock
        self._asking = asking
        self._fleet = fleet
        self._finalize: tuple[Finalize, ...] = ()
        self._wanted: Mapping[str, Wanted] | None = None
        self._dirty = asyncio.Event()
        self._acknowledged: dict[str, Identity] = {}
        self._number = 0
        self._number_term = -1
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._assign())]

    def want(self, wanted: Mapping[str, Wanted], finalize: tuple[Finalize, ...] = ()) -> None:
        """Set the whole set of jobs, by uid, and what is to be finalized. The same set again costs nothing."""
        before, self._wanted = self._wanted, wanted
        finalized, self._finalize = self._finalize, finalize
        if before is None or finalized != finalize or not (before is wanted or same(before, wanted)):
            self._dirty.set()

    async def notes(self) -> Notes | None:
        """What is noted in the worker's archive; None where it gives no answer."""
        try:
            async with (
                self._asking,
                self._http.get(
                    f"{self.address.base}/v1/notes",
                    params={"fleet": self._fleet},
                    ssl=self._tls,
                    server_hostname=self.address.server_name,
                    timeout=_NOTES_TIMEOUT,
                ) as response,
            ):
                response.raise_for_status()
                return Notes.model_validate_json(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as error:
            log.info("no notes of the archive", extra={"worker": self.address.pod, "error": _short(error)})
            return None

    async def probe(self, request: ProbeRequest) -> ProbeReport:
        """Have the worker look at a source. Raises BusyError, and what goes wrong on the way."""
        async with self._http.post(
            f"{self.address.base}/v1/probe",
            data=orjson.dumps(request.wire()),
            headers={"Content-Type": "application/json"},
            ssl=self._tls,
            server_hostname=self.address.server_name,
            timeout=aiohttp.ClientTimeout(total=request.timeout + _PROBE_MARGIN, connect=3),
        ) as response:
            content = await response.read()
            if response.status == 429:
                raise BusyError(orjson.loads(content)["message"])
            response.raise_for_status()
            return ProbeReport.model_validate_json(content)

    async def close(self) -> None:
        """Stop listening and assigning."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Listening

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                await self._connect_and_follow()
                failures = 0
            except (aiohttp.ClientError, TimeoutError, OSError, ValidationError, ValueError) as error:
                if self.state.connected or failures == 0:
                    log.info("worker out of reach", extra={"worker": self.address.pod, "error": _short(error)})
                failures = 0 if self.state.connected else failures + 1
            finally:
                self._lost()
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    async def _connect_and_follow(self) -> None:
        info = await self._get_info()
        if self.state.info is None or self.state.info.instance != info.instance:
            # Another process: nothing that the former one said or was told holds any more.
            self.state.reports = {}
            self.state.finalized = {}
            self._acknowledged = {}
        self.state.info = info
        async with self._http.get(
            f"{self.address.base}/v1/events",
            ssl=self._tls,
            server_hostname=self.address.server_name,
            timeout=_STREAM_TIMEOUT,
        ) as response:
            response.raise_for_status()
            buffer = b""
            async for piece in response.content.iter_any():
                *lines, buffer = (buffer + piece).split(b"\n")
                if len(buffer) > _LONGEST_LINE:
                    raise ValueError("a line of the worker's event stream is too long")
                for line in lines:
                    self._take(line)

    async def _get_info(self) -> WorkerInfo:
        async with (
            self._asking,
            self._http.get(
                f"{self.address.base}/v1/info",
                ssl=self._tls,
                server_hostname=self.address.server_name,
                timeout=_CALL_TIMEOUT,
            ) as response,
        ):
            response.raise_for_status()
            return WorkerInfo.model_validate_json(await response.read())

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        self.state.last_line = self._clock()
        match EVENT_LINE.validate_json(line):
            case Inventory() as inventory:
                self._take_inventory(inventory)
            case JobEvent(report=told):
                self.state.served = True
                known, report = self.state.reports.get(told.uid), Report.of(told)
                self.state.reports[told.uid] = report
                if known is None or _phase_facts(known) != _phase_facts(report):
                    self._changed()
            case Finalized(key=key, delivered=delivered):
                self.state.finalized[key] = delivered
                self._changed()
            case Heartbeat():
                pass

    def _take_inventory(self, inventory: Inventory) -> None:
        self.state.reports = {told.uid: Report.of(told) for told in inventory.reports}
        self.state.finalized = dict(inventory.finalized)
        self.state.served = self.state.served or inventory.served or bool(inventory.reports)
        self.state.connected = True
        self._dirty.set()
        self._changed()

    def _lost(self) -> None:
        if self.state.connected:
            self.state.connected = False
            self._changed()

    # Assigning

    async def _assign(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            term, info = self._term(), self.state.info
            if term is None or info is None or self._wanted is None or not self.state.connected:
                continue
            mine = {uid: item for uid, item in self._wanted.items() if item.instance == info.instance}
            try:
                await self._put(mine, self._finalize, term, info.instance)
            except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as error:
                log.info("assignment not delivered", extra={"worker": self.address.pod, "error": _short(error)})
                await asyncio.sleep(_BACKOFF[2])
                self._dirty.set()

    async def _put(
        self, wanted: Mapping[str, Wanted], finalize: tuple[Finalize, ...], term: int, instance: str
    ) -> None:
        """Send the set; specs only for what the worker has not acknowledged, and again for what it says it needs."""
        # Whether or not the answer comes back: the worker may have begun.
        self.state.served = self.state.served or bool(wanted)
        answer = await self._send(wanted, finalize, term, instance, self._unacknowledged(wanted))
        if answer is not None and answer.need:
            answer = await self._send(wanted, finalize, term, instance, frozenset(answer.need))
        if answer is None:
            await asyncio.sleep(_BACKOFF[1])
            self._dirty.set()
            return
        # What it still needs could not be built; the set comes again once it can (see wanted.same).
        self._acknowledged = {uid: item.identity for uid, item in wanted.items() if uid not in answer.need}
        if any(wanted[uid].outdated for uid in answer.need if uid in wanted):
            # The plan that gathers it anew is on its way, and may find everything as it was.
            await asyncio.sleep(_BACKOFF[1])
            self._dirty.set()
        asked = {each.key for each in finalize}
        self.state.finalized = {key: told for key, told in self.state.finalized.items() if key in asked}
        gone = self.state.reports.keys() - wanted.keys()
        self.state.reports = {uid: report for uid, report in self.state.reports.items() if uid not in gone}

    def _unacknowledged(self, wanted: Mapping[str, Wanted]) -> frozenset[str]:
        return frozenset(uid for uid, item in wanted.items() if self._acknowledged.get(uid) != item.identity)

    async def _send(
        self,
        wanted: Mapping[str, Wanted],
        finalize: tuple[Finalize, ...],
        term: int,
        instance: str,
        with_spec: frozenset[str],
    ) -> AssignmentAnswer | None:
        """One PUT. None: the worker has something newer; what it has is noted and the set must be sent again."""
        self._next_number(term)
        entries = [item.entry(uid, uid in with_spec) for uid, item in wanted.items()]
        body = AssignmentSet(
            term=self._number_term,
            number=self._number,
            instance=instance,
            entries=entries,
            finalize=list(finalize),
            fleet=self._fleet,
        )
        async with (
            self._asking,
            self._http.put(
                f"{self.address.base}/v1/assignments",
                data=orjson.dumps(body.wire()),
                headers={"Content-Type": "application/json"},
                ssl=self._tls,
                server_hostname=self.address.server_name,
                timeout=_CALL_TIMEOUT,
            ) as response,
        ):
            content = await response.read()
            if response.status == 409:
                self._take_conflict(AssignmentConflict.model_validate_json(content), instance)
                return None
            response.raise_for_status()
            return AssignmentAnswer.model_validate_json(content)

    def _next_number(self, term: int) -> None:
        if term > self._number_term:
            self._number_term, self._number = term, 0
        self._number += 1

    def _take_conflict(self, conflict: AssignmentConflict, instance: str) -> None:
        log.warning("worker refused the assignment", extra={"worker": self.address.pod, "error": conflict.message})
        if conflict.instance == instance:
            # The Lease was lost and made anew (its count began at zero): go above what the worker has seen.
            above = conflict.term if conflict.term <= self._number_term else conflict.term + 1
            self._number_term, self._number = above, max(self._number, conflict.number)


def _phase_facts(report: Report) -> tuple[object, ...]:
    return report.epoch, report.state, report.first_frame, report.settings, report.code


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


async def close_all(sessions: Mapping[str, WorkerSession]) -> None:
    """Close several sessions at once."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*(session.close() for session in sessions.values()))
