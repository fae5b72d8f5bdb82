"""Writes the status of VideoJobs, and tells of it in Events once it is written."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_api.protocol import Delivered
from videofleet_api.videojob import HISTORY_LIMIT
from videofleet_kube.operations import Append, Outcome, Patch, Priority, Result
from videofleet_kube.resources import ObjectRef
from videofleet_kube.writes import WriteQueue
from videofleet_operator.domain.health import health_news
from videofleet_operator.domain.history import transition
from videofleet_operator.domain.model import Job, Record
from videofleet_operator.domain.reports import Counters, Report
from videofleet_operator.domain.status import Shown, to_status
from videofleet_operator.metrics import Metrics
from videofleet_operator.services.announcements import Announcer
from videofleet_operator.services.caches import VIDEOJOBS, Caches
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.payload import shown_source

log = logging.getLogger(__name__)

_HOLD_OFF = 2.0
"""Seconds; a write that the API server did not take is not tried again sooner, or one that is away would be stormed."""


class StatusWriter:
    """One status write a job at a time; the record that is being written counts as written until it fails."""

    def __init__(
        self,
        queue: WriteQueue,
        caches: Caches,
        announcer: Announcer,
        metrics: Metrics,
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._caches = caches
        self._announcer = announcer
        self._metrics = metrics
        self._changed = changed
        self._clock = clock
        self._assumed: dict[str, Record] = {}
        self._held: dict[str, float] = {}
        self._refreshed: dict[str, float] = {}

    @property
    def assumed(self) -> Mapping[str, Record]:
        """Records that are being written, by uid of the job."""
        return self._assumed

    def forget(self) -> None:
        """Another operator led meanwhile: nothing that was assumed counts any more."""
        self._assumed.clear()
        self._held.clear()

    def write(
        self, known: KnownJob, record: Record, report: Report | None, now: float, *, others_left: bool = False
    ) -> None:
        """Write a new record, unless an earlier one is under way or was refused just now: it is planned again then.

        `others_left`: see Shown.
        """
        uid = known.job.uid
        # Were the queue to put this one in the place of one that waits, nobody would ever see that one's edge.
        if uid in self._assumed or self._clock() < self._held.get(uid, 0.0):
            return
        self._assumed[uid] = record
        shown = _shown(known, report, others_left=others_left)
        patch = self._patch(known, record, shown, now, check_version=True)
        starts = record.phase is Phase.STARTING and known.job.record.phase not in ASSIGNED
        priority = Priority.START if starts else Priority.PHASE
        self._queue.submit(patch, priority, on_done=lambda outcome: self._written(known, record, patch, outcome))
        self._refreshed[uid] = self._clock()

    def written_at(self, uid: str) -> float:
        """When this replica last wrote the job's status, on its monotonic clock; long ago where it never did."""
        return self._refreshed.get(uid, float("-inf"))

    def refresh(self, known: KnownJob, report: Report, now: float) -> bool:
        """Write the counters alone. False: another write is under way, which brings them too."""
        if known.job.uid in self._assumed:
            return False
        self._refresh(known, _shown(known, report), now)
        return True

    def refresh_outputs(self, known: KnownJob, delivered: Delivered, now: float) -> bool:
        """Write how the receivers are of a job that no worker has, and what its router has taken in all. False: another
        write is under way."""
        if known.job.uid in self._assumed:
            return False
        told = Counters(
            outputs=delivered.health,
            outputs_message=delivered.message,
            objects_posted=delivered.objects_posted,
        )
        self._refresh(known, replace(_shown(known, None), outputs=told), now)
        return True

    def keep(self, uids: Mapping[str, object]) -> None:
        """Forget what is known of jobs that are gone."""
        if all(known.keys() <= uids.keys() for known in (self._assumed, self._refreshed, self._held)):
            return
        self._assumed = {uid: record for uid, record in self._assumed.items() if uid in uids}
        self._refreshed = {uid: time for uid, time in self._refreshed.items() if uid in uids}
        self._held = {uid: time for uid, time in self._held.items() if uid in uids}

    def _refresh(self, known: KnownJob, shown: Shown, now: float) -> None:
        self._refreshed[known.job.uid] = self._clock()
        patch = self._patch(known, known.job.record, shown, now, check_version=False)
        done = partial(self._refreshed_with, known.job, patch)
        self._queue.submit(patch, Priority.STATISTICS, on_done=done)

    def _patch(self, known: KnownJob, record: Record, shown: Shown, now: float, *, check_version: bool) -> Patch:
        meta = known.source.meta
        target = ObjectRef(VIDEOJOBS, meta.namespace, meta.name, meta.uid, meta.resource_version)
        current = known.source.status
        desired = to_status(known.job, record, shown, current, now)
        told = transition(known.job.record, record)
        append = None
        if told is not None and known.source.history:
            append = Append(("status", "history"), told.wire(), known.source.history, HISTORY_LIMIT)
        elif told is not None:
            desired["history"] = [told.wire()]
        return Patch(target, {"status": current}, {"status": desired}, "status", check_version, append)

    def _refreshed_with(self, job: Job, patch: Patch, outcome: Outcome) -> None:
        self._feed(outcome)
        if outcome.result is Result.APPLIED:
            self._tell_health(job, patch)

    def _written(self, known: KnownJob, record: Record, patch: Patch, outcome: Outcome) -> None:
        uid = known.job.uid
        self._feed(outcome)
        if self._assumed.get(uid) is record:
            del self._assumed[uid]
        match outcome.result:
            case Result.APPLIED:
                self._tell(known.job, record)
                self._tell_health(known.job, patch)
                self._changed()
            case Result.CONFLICT if self._outdated(known):
                self._changed()
            case Result.FAILED | Result.FENCED:
                self._held[uid] = self._clock() + _HOLD_OFF
                self._warn(known.job, outcome)

    def _outdated(self, known: KnownJob) -> bool:
        """Whether the cache has moved on since; where it has not, its next event brings the next plan."""
        entry = self._caches.jobs.cache.entry(known.job.uid)
        return entry is None or entry.version != known.source.meta.resource_version

    def _warn(self, job: Job, outcome: Outcome) -> None:
        why = "the Lease is about to run out" if outcome.error is None else str(outcome.error)
        log.warning("status not written", extra={"namespace": job.namespace, "job": job.name, "error": why})

    def _feed(self, outcome: Outcome) -> None:
        if outcome.object is not None:
            self._caches.jobs.feed(outcome.object)

    def _tell(self, job: Job, record: Record) -> None:
        before = job.record
        if before.phase is not record.phase:
            reason = record.reason or Reason.PENDING
            self._metrics.transitions.labels(record.phase.value, reason.value).inc()
            log.info(
                "phase",
                extra={
                    "namespace": job.namespace,
                    "job": job.name,
                    "from": before.phase.value,
                    "to": record.phase.value,
                    "reason": reason.value,
                    "detail": record.message,
                    "worker": record.worker.name if record.worker else None,
                    "epoch": record.epoch,
                },
            )
        self._announcer.job(job, before, record)

    def _tell_health(self, job: Job, patch: Patch) -> None:
        news = health_news(patch.current["status"], patch.desired["status"])
        if news is not None:
            self._announcer.source(job, news)


def _shown(known: KnownJob, report: Report | None, *, others_left: bool = False) -> Shown:
    spec = known.source.spec
    return Shown.of(shown_source(spec) if spec else None, report, others_left=others_left)
