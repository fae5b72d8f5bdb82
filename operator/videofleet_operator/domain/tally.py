"""What the jobs of a snapshot come to together, kept from one snapshot to the next: only what differs is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.differences import gone, replaced
from videofleet_operator.domain.model import Job, Licence, Pool, Snapshot
from videofleet_operator.domain.suspicion import held_slots

_MORE_WORKERS_HELP: Final = frozenset(
    {Reason.WORKERS_FULL, Reason.NO_READY_WORKER, Reason.NO_EMPTY_WORKER, Reason.PREEMPTED, Reason.SHED}
)


class Tally:
    """Sums over all jobs of the snapshot that it followed last. Who reads them changes nothing in them."""

    def __init__(self) -> None:
        self._jobs: Mapping[str, Job] = {}
        self._pools: Mapping[str, Pool] = {}
        self._assigned = 0
        self._recorded = 0
        self.phases: Counter[Phase] = Counter()
        """Jobs in each phase."""
        self.used: Counter[str] = Counter()
        """Slots that jobs hold, by worker id; workers without a job are not in it. One that moves holds room twice."""
        self.crowded_out: dict[str, Job] = {}
        """Jobs that have no worker and that more workers would help, by uid."""
        self.lacking: dict[str, Job] = {}
        """Jobs that wait for a worker with a model that none has, by uid."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> Tally:
        """The sums over one snapshot."""
        tally = cls()
        tally.follow(snapshot)
        return tally

    def follow(self, snapshot: Snapshot) -> None:
        """Count these jobs from here on."""
        if _specs(snapshot.pools) != _specs(self._pools):
            # What a job takes of a worker depends on its pool.
            for job in self._jobs.values():
                self._count(job, -1)
            self._jobs = {}
        changed = replaced(self._jobs, snapshot.jobs)
        for uid in [*changed, *gone(self._jobs, snapshot.jobs)]:
            if uid in self._jobs:
                self._count(self._jobs[uid], -1)
        self._pools = snapshot.pools
        for uid in changed:
            self._count(snapshot.jobs[uid], 1)
        self._jobs = snapshot.jobs

    def licensed(self, licence: Licence) -> int:
        """Slots of the licence that are in use."""
        return self._assigned if licence.count_recorded else self._assigned - self._recorded

    def _count(self, job: Job, sign: int) -> None:
        record = job.record
        self.phases[record.phase] += sign
        if record.phase in ASSIGNED:
            self._assigned += sign
            self._recorded += sign * job.recorded
            for worker in record.held:
                self.used[worker.id] += sign * held_slots(job, self._pools.get(worker.pool))
                if not self.used[worker.id]:
                    del self.used[worker.id]
        elif record.phase is Phase.AWAITING and record.reason in _MORE_WORKERS_HELP:
            _note(self.crowded_out, job, sign)
        elif record.phase is Phase.AWAITING and record.reason is Reason.MODEL_MISSING:
            _note(self.lacking, job, sign)


def _note(jobs: dict[str, Job], job: Job, sign: int) -> None:
    if sign > 0:
        jobs[job.uid] = job
    else:
        del jobs[job.uid]


def _specs(pools: Mapping[str, Pool]) -> dict[str, int]:
    """Which specs the pools have. A spec is never changed, and both sides are still held while they are compared."""
    return {key: id(pool.spec) for key, pool in pools.items()}
