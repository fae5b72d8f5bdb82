"""The loop of the leader: gather, decide, apply, in this order, whenever something has changed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.alternatives import others_left
from videofleet_operator.domain.model import Bucket, Pace, Snapshot
from videofleet_operator.domain.placement import ready, room
from videofleet_operator.domain.planner import plan_after
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.resting import SCRATCH
from videofleet_operator.domain.tally import Tally
from videofleet_operator.metrics import Metrics
from videofleet_operator.services.answers import Answers
from videofleet_operator.services.assignments import Assignments
from videofleet_operator.services.caches import Caches
from videofleet_operator.services.expiry import Expiry
from videofleet_operator.services.finalizer import Finalizer
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.gather import Gatherer, KnownJob, with_taken
from videofleet_operator.services.licences import LicenceKeeper
from videofleet_operator.services.pools import PoolKeeper
from videofleet_operator.services.statuses import StatusWriter
from videofleet_operator.services.waits import Waits

log = logging.getLogger(__name__)

_SHORTEST_REST = 0.005
"""Seconds between two passes; changes come in swarms, and one plan serves all that come meanwhile."""
_LONGEST_REST = 1.0
_PLAN_SHARE = 5
"""Planning takes at most a sixth of the time."""
_UNWRITTEN = 500
"""Jobs are given to workers while fewer statuses than these wait to be written: more than a second or two of writes
would be decisions about what was, and the time that a job has for its first frame would pass in the queue."""
_TICK = 2.0
"""Seconds; there is a pass this often even when nothing happens."""
_USUAL_PACE = Pace()


class Reconciler:
    """Plans while it leads; otherwise it only keeps its view of the workers warm."""

    def __init__(
        self,
        *,
        caches: Caches,
        gatherer: Gatherer,
        fleet: Fleet,
        licences: LicenceKeeper,
        statuses: StatusWriter,
        pools: PoolKeeper,
        waits: Waits,
        answers: Answers,
        finalizer: Finalizer,
        expiry: Expiry,
        metrics: Metrics,
        pace: Pace = _USUAL_PACE,
        leads: Callable[[], bool],
        dirty: asyncio.Event,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._caches = caches
        self._gatherer = gatherer
        self._fleet = fleet
        self._licences = licences
        self._statuses = statuses
        self._pools = pools
        self._waits = waits
        self._answers = answers
        self._finalizer = finalizer
        self._expiry = expiry
        self._metrics = metrics
        self._leads = leads
        self._dirty = dirty
        self._wall = wall
        self._pace = pace
        self._buckets: Mapping[str, Bucket] = {}
        self._resting = SCRATCH
        self._tally = Tally()
        self._assignments = Assignments()
        self._rested = 0.0
        self._first = True
        self._wake: float | None = None
        self.beat = time.monotonic()
        """Monotonic time at which the loop was last seen alive."""

    def begin(self) -> None:
        """This replica leads from now on, and its caches are up to date."""
        self._gatherer.led_since = self._wall()
        self._dirty.set()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            self.beat = time.monotonic()
            await self._wait()
            if not self._caches.synced:
                self._rest(_SHORTEST_REST)
                continue
            self._dirty.clear()
            began = time.perf_counter()
            led = self.turn()
            took = time.perf_counter() - began
            # The first pass makes everything that later ones only compare: it says nothing of how long they take.
            self._rest(_SHORTEST_REST if self._first else _PLAN_SHARE * took)
            self._first = False
            if led:
                self._metrics.plan_seconds.observe(took)

    def _rest(self, seconds: float) -> None:
        self._rested = time.monotonic() + min(_LONGEST_REST, max(_SHORTEST_REST, seconds))

    async def _wait(self) -> None:
        pause = _TICK if self._wake is None else max(0.0, min(_TICK, self._wake - self._wall()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._dirty.wait()
        # What comes alone, after a rest, is planned at once; what is due does not cut the rest short.
        await asyncio.sleep(max(0.0, self._rested - time.monotonic()))

    def turn(self) -> bool:
        """One pass. Returns whether it planned: only the leader does."""
        now = self._wall()
        leads = self._leads()
        # 1. What is: the licence first, it is one small object; the snapshot orders the rest.
        licence = self._licences.current(now)
        snapshot = self._gatherer.snapshot(now, licence, self._statuses.assumed)
        self._wake = None
        if leads:
            known = self._gatherer.known
            # 2. What should be.
            decided, self._resting = plan_after(
                replace(snapshot, pace=self._pace, buckets=self._buckets, starts=self._starts()), self._resting
            )
            self._buckets = decided.buckets
            # 3. Write it. What is being written counts as written from here on.
            for uid, record in decided.records.items():
                left = others_left(known[uid].job, record, snapshot)
                self._statuses.write(known[uid], record, _report(snapshot, known[uid]), now, others_left=left)
                if record.reason is Reason.SOURCE_AUTH:
                    self._gatherer.doubt_secrets(known[uid])
            taken = with_taken(snapshot, decided.records)
            self._tally.follow(taken)
            pools_wake = self._pools.reconcile(taken, self._tally)
            self._expiry.delete(decided.expired, known)
            self._licences.reconcile(licence, self._tally.licensed(licence), now)
            self._wake = earliest(decided.wake, pools_wake, self._licences.next_change(now))
            # 4. Tell the workers, from what the API server has acknowledged alone.
            self._fleet.assign(self._assignments.follow(known), self._finalizer.follow(known, snapshot))
            self._statuses.keep(known)
            # 5. Say why those wait that do.
            self._waits.tell(self._answers.renew(taken, decided.waiting))
        else:
            self._tally.follow(snapshot)
        self._measure(snapshot, leads)
        return leads

    def _starts(self) -> int:
        return max(0, _UNWRITTEN - len(self._statuses.assumed))

    def _measure(self, snapshot: Snapshot, leads: bool) -> None:
        self._metrics.leader.set(leads)
        for phase in Phase:
            self._metrics.jobs.labels(phase.value).set(self._tally.phases[phase])
        self._metrics.workers.labels("connected").set(self._fleet.connected)
        self._metrics.workers.labels("known").set(len(snapshot.workers))
        answering = [worker for worker in snapshot.workers.values() if ready(worker)]
        pools = snapshot.pools
        offered = (room(worker, pools[worker.pool]) for worker in answering if worker.pool in pools)
        self._metrics.slots.labels("total").set(sum(offered))
        self._metrics.slots.labels("used").set(sum(self._tally.used[worker.id] for worker in answering))


def earliest(*times: float | None) -> float | None:
    """The earliest of the times that are known."""
    return min((time for time in times if time is not None), default=None)


def _report(snapshot: Snapshot, known: KnownJob) -> Report | None:
    """What the job's worker said last of its current epoch."""
    record = known.job.record
    worker = snapshot.workers.get(record.worker.id) if record.worker else None
    report = worker.reports.get(known.job.uid) if worker else None
    return report if report is not None and report.epoch == record.epoch else None
