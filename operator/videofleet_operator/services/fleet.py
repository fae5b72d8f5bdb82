"""The sessions to all worker pods, and what is known of each worker."""

import asyncio
import ssl
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import aiohttp

from videofleet_api import names
from videofleet_api.finalize import Finalize, Notes
from videofleet_api.protocol import Delivered, WorkerInfo
from videofleet_operator.domain.hints import holding
from videofleet_operator.domain.isolation import isolated
from videofleet_operator.domain.model import Pool, Worker
from videofleet_operator.domain.reports import Report
from videofleet_operator.services.objects import NodeObject, PodObject
from videofleet_operator.services.wanted import Wanted
from videofleet_operator.services.worker_session import Address, WorkerSession, close_all

_ASKING_AT_ONCE = 200
"""Workers. A handshake takes some 3 ms of one core and must be over within 3 s; many that do not answer leave room."""

Given = Mapping[str, tuple[Finalize, ...]]
"""What each worker is to finalize, by pod uid."""
_NOTHING: Given = {}
_LATELY = 3.0
"""Seconds; heartbeats come every two. How long a worker is silent tells nothing while it is less."""


class _Facts(NamedTuple):
    """All that a worker is made of, but for the time."""

    pod: PodObject
    pool: Pool
    node_gone: bool
    cordoned: bool
    info: WorkerInfo | None
    connected: bool
    served: bool
    """Whether it was ever given a job."""
    reports: Mapping[str, Report]


class Fleet:
    """Opens a session for each worker pod that runs, closes those of pods that are gone."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        tls: ssl.SSLContext,
        *,
        term: Callable[[], int | None],
        changed: Callable[[], None],
        clock: Callable[[], float],
        port: int = names.WORKER_API_PORT,
        name: str = "",
    ) -> None:
        """`name`: whose jobs these are; see protocol.AssignmentSet."""
        self._http = http
        self._tls = tls
        self._term = term
        self._changed = changed
        self._clock = clock
        self._port = port
        self._name = name
        self._sessions: dict[str, WorkerSession] = {}
        self._seen: dict[str, tuple[_Facts, Worker]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Semaphore(_ASKING_AT_ONCE)

    def follow(self, pods: Collection[PodObject]) -> None:
        """Have a session for each of these pods that runs, and for no other."""
        for uid in self._seen.keys() - {pod.meta.uid for pod in pods}:
            del self._seen[uid]
        reachable = {pod.meta.uid: self._address(pod) for pod in pods if pod.ip and _runs(pod)}
        for uid in self._sessions.keys() - {uid for uid, address in reachable.items() if self._same(uid, address)}:
            self._close(self._sessions.pop(uid))
        for uid in reachable.keys() - self._sessions.keys():
            self._sessions[uid] = WorkerSession(
                reachable[uid],
                self._http,
                self._tls,
                term=self._term,
                changed=self._changed,
                clock=self._clock,
                asking=self._asking,
                fleet=self._name,
            )

    def assign(self, wanted: Mapping[str, Mapping[str, Wanted]], finalize: Given = _NOTHING) -> None:
        """Hand each worker its jobs and what it is to finalize, by pod uid; a worker that is not named gets an empty
        set."""
        for uid, session in self._sessions.items():
            session.want(wanted.get(uid, {}), finalize.get(uid, ()))

    def finalized(self, pod_uid: str) -> Mapping[str, Delivered | None]:
        """What the worker in a pod was told to finalize, and has; see WorkerState."""
        session = self._sessions.get(pod_uid)
        return session.state.finalized if session else {}

    async def notes(self, pod_uid: str) -> Notes | None:
        """What is noted in the archive of the worker in a pod; None where there is no answer."""
        session = self._sessions.get(pod_uid)
        return await session.notes() if session else None

    def worker(self, pod: PodObject, pool: Pool, nodes: Mapping[str, NodeObject]) -> Worker:
        """What is known of the worker in a pod: the very object of the last time where that still is what is known."""
        session = self._sessions.get(pod.meta.uid)
        state = session.state if session else None
        node = None if pod.node is None else nodes.get(pod.node)
        facts = _Facts(
            pod=pod,
            pool=pool,
            node_gone=pod.node is not None and bool(nodes) and node is None,
            cordoned=node is not None and not node.schedulable,
            info=state.info if state else None,
            connected=bool(state and state.connected),
            served=bool(state and state.served),
            reports=state.reports if state else {},
        )
        silent = max(0.0, self._clock() - state.last_line) if state else 0.0
        seen = self._seen.get(pod.meta.uid)
        if seen is None or max(silent, seen[1].silent_for) > _LATELY or seen[0] != facts:
            copied = facts._replace(reports=dict(facts.reports))
            seen = self._seen[pod.meta.uid] = copied, _worker(copied, silent)
        return seen[1]

    def report(self, pod_uid: str, job_uid: str) -> Report | None:
        """What the worker in a pod said last of a job."""
        session = self._sessions.get(pod_uid)
        return session.state.reports.get(job_uid) if session else None

    def session(self, pod_uid: str) -> WorkerSession | None:
        """The session of a pod, while there is one."""
        return self._sessions.get(pod_uid)

    @property
    def connected(self) -> int:
        """Workers that answer."""
        return sum(session.state.connected for session in self._sessions.values())

    async def close(self) -> None:
        """Close every session."""
        await close_all(self._sessions)
        self._sessions = {}

    def _address(self, pod: PodObject) -> Address:
        return Address(pod.meta.namespace, pod.meta.name, pod.meta.uid, pod.ip or "", self._port)

    def _same(self, uid: str, address: Address) -> bool:
        return uid in self._sessions and self._sessions[uid].address == address

    def _close(self, session: WorkerSession) -> None:
        task = asyncio.create_task(session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _worker(facts: _Facts, silent: float) -> Worker:
    pod, pool, info = facts.pod, facts.pool, facts.info
    holds = holding(pool, info)
    return Worker(
        name=pod.meta.name,
        pool=pool.key,
        id=pod.meta.uid,
        node=pod.node,
        capacity=holds.slots,
        limited=holds.limited,
        instance=info.instance if info else None,
        connected=facts.connected,
        silent_for=silent,
        leaving=pod.meta.deleting or facts.node_gone or pod.phase in ("Succeeded", "Failed"),
        died=pod.died and not facts.node_gone,
        steps=frozenset(info.steps) if info else frozenset(),
        reports=facts.reports,
        # A container that has been restarted may have left something behind for the next process.
        spent=isolated(pool) and (pod.restarts > 0 or facts.served),
        cordoned=facts.cordoned,
        drain=_why_drain(pod, pool),
        replaced=pod.meta.drain or pod.meta.deleting,
    )


def _why_drain(pod: PodObject, pool: Pool) -> str:
    if pod.meta.drain:
        return f"is to be emptied (annotation {names.ANNOTATION_DRAIN})"
    if pool.draining:
        return f"is to be emptied (annotation {names.ANNOTATION_DRAIN} on pool {pool.key})"
    return ""


def _runs(pod: PodObject) -> bool:
    return pod.phase == "Running"
