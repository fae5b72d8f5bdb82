"""A plan in the making: what has been decided so far, and where a job would go."""

from dataclasses import dataclass, field

from videofleet_operator.domain import exclusion, observation, suspicion
from videofleet_operator.domain.facts import Fact
from videofleet_operator.domain.hosts import HostLedger
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Assigned, Excluded, Job, Record, Snapshot, Why, Worker
from videofleet_operator.domain.placement import Answer, Capacity, Verdict
from videofleet_operator.domain.records import Context
from videofleet_operator.domain.shelf import Terms


@dataclass(slots=True)
class Draft:
    """A plan in the making. A record takes at most one edge in it, so that every edge is seen by whoever watches."""

    snapshot: Snapshot
    records: dict[str, Record] = field(default_factory=dict)
    waiting: dict[str, Why] = field(default_factory=dict)
    hosts: HostLedger = field(init=False)

    def __post_init__(self) -> None:
        self.hosts = HostLedger(self.snapshot.pace, self.snapshot.buckets, self.snapshot.now)

    def record(self, job: Job) -> Record:
        """The job's record as it will be."""
        return self.records.get(job.uid, job.record)

    def moved(self, job: Job) -> bool:
        """Whether the job has taken an edge already."""
        return self.record(job).phase is not job.record.phase

    def worker(self, record: Record) -> Worker | None:
        """The job's worker, while it exists."""
        return None if record.worker is None else self.snapshot.workers.get(record.worker.id)

    def apply(self, job: Job, fact: Fact) -> None:
        """The fact is so."""
        record = self.record(job)
        after = advance(record, fact, _context(job), self.snapshot.now)
        if after is not record:
            self.records[job.uid] = after


def verdict_of(draft: Draft, job: Job, capacity: Capacity) -> tuple[Verdict, tuple[Excluded, ...]]:
    """Where the job would go, and who is passed over for it: nobody any more once there is no other to try."""
    record, snapshot = draft.record(job), draft.snapshot
    if not record.excluded and not suspicion.alone(record):
        return capacity.can_add(job), ()
    terms = terms_of(draft, job)
    excluded = exclusion.in_force(record.excluded, snapshot.workers)
    verdict = capacity.can_add(job, terms)
    if verdict.answer is Answer.ALL_TRIED or (
        verdict.answer is Answer.EXCLUDED and exclusion.over(record, snapshot.now)
    ):
        return capacity.can_add(job, terms._replace(avoid=frozenset())), ()
    return verdict, excluded


def terms_of(draft: Draft, job: Job) -> Terms:
    """What the job demands of a worker."""
    record = draft.record(job)
    excluded = exclusion.in_force(record.excluded, draft.snapshot.workers)
    return Terms(frozenset(each.id for each in excluded), suspicion.alone(record))


def assigned(verdict: Verdict) -> Assigned:
    """The worker of a verdict as it stands in a record. Raises ValueError where there is none."""
    worker = verdict.worker
    if worker is None or worker.instance is None:
        raise ValueError(f"a job fits, but on no worker that was ever reached: {verdict}")
    return Assigned(worker.name, worker.pool, worker.id, worker.instance, worker.node)


def _context(job: Job) -> Context:
    # What its worker has not applied yet is not in force, and so not observed.
    pending = observation.being_applied(job, job.record)
    generation = job.record.observed_generation if pending else job.generation
    return Context(job.uid, generation, job.spec.single_pass, job.spec.restart)
