"""The assignments of a worker: what a new set changes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from videofleet_api.names import archive_prefix
from videofleet_api.protocol import AssignmentConflict, AssignmentSet, Entry, JobSpec


@dataclass(frozen=True, slots=True)
class Job:
    """One assigned job, with its spec."""

    entry: Entry
    spec: JobSpec
    fleet: str = ""
    """Whose job it is; see protocol.AssignmentSet."""

    @property
    def uid(self) -> str:
        """uid of the VideoJob."""
        return self.entry.uid

    @property
    def epoch(self) -> int:
        """The assignment that this is."""
        return self.entry.epoch

    @property
    def fields(self) -> dict[str, object]:
        """What a log record about this job carries."""
        entry = self.entry
        return {"uid": entry.uid, "namespace": entry.namespace, "job": entry.name, "epoch": entry.epoch}

    def prefix(self, analytics: str) -> str:
        """Where in the archive the results of an analytics lie."""
        return archive_prefix(self.entry.namespace, self.uid, self.entry.run, analytics)


@dataclass(frozen=True, slots=True)
class Assignments:
    """The set in force."""

    instance: str
    term: int = 0
    number: int = 0
    jobs: Mapping[str, Job] = field(default_factory=dict)
    served: bool = False
    """Whether there was ever a job."""


@dataclass(frozen=True, slots=True)
class Change:
    """What follows from a set: first stop, then start, then have those that go on take new settings over.

    `need` are the uids whose spec is missing.
    """

    assignments: Assignments
    stop: tuple[Job, ...]
    start: tuple[Job, ...]
    adapt: tuple[Job, ...]
    need: tuple[str, ...]


def apply(current: Assignments, wanted: AssignmentSet) -> Change | AssignmentConflict:
    """Compare a set with the one in force.

    A job goes on where uid and epoch are the same, with the settings that it had while the new ones are missing;
    another epoch starts it anew. The same pair of term and number may come again, because the answer to the first may
    have been lost.
    """
    if problem := _conflict(current, wanted):
        return AssignmentConflict(term=current.term, number=current.number, instance=current.instance, message=problem)
    jobs: dict[str, Job] = {}
    need: list[str] = []
    for entry in wanted.entries:
        job = _job(current.jobs.get(entry.uid), entry, wanted.fleet)
        if job is None or job.entry.settings != entry.settings:
            need.append(entry.uid)
        if job is not None:
            jobs[entry.uid] = job
    served = current.served or bool(jobs)
    return Change(
        assignments=Assignments(current.instance, wanted.term, wanted.number, jobs, served),
        stop=tuple(job for uid, job in current.jobs.items() if not _goes_on(job, jobs.get(uid))),
        start=tuple(job for uid, job in jobs.items() if not _goes_on(job, current.jobs.get(uid))),
        adapt=tuple(job for uid, job in jobs.items() if _is_adapted(job, current.jobs.get(uid))),
        need=tuple(need),
    )


def _conflict(current: Assignments, wanted: AssignmentSet) -> str | None:
    if wanted.instance != current.instance:
        return f"the set is for instance {wanted.instance}, this is instance {current.instance}"
    if (wanted.term, wanted.number) < (current.term, current.number):
        return f"the set {wanted.term}.{wanted.number} is older than {current.term}.{current.number}, which is in force"
    return None


def _job(known: Job | None, entry: Entry, fleet: str) -> Job | None:
    """The job that an entry means; None where its spec is missing."""
    goes_on = known is not None and known.epoch == entry.epoch
    if known is not None and goes_on and (known.entry.settings == entry.settings or entry.spec is None):
        return replace(known, entry=known.entry.model_copy(update={"leaves": entry.leaves}))
    if entry.spec is not None:
        return Job(entry, entry.spec, fleet)
    if known is not None and (known.entry.digest, known.entry.settings) == (entry.digest, entry.settings):
        return Job(entry, known.spec, fleet)
    return None


def _is_adapted(job: Job, before: Job | None) -> bool:
    return before is not None and _goes_on(job, before) and _adaptable(before.entry) != _adaptable(job.entry)


def _adaptable(entry: Entry) -> tuple[str, bool]:
    return entry.settings, entry.leaves


def _goes_on(job: Job, other: Job | None) -> bool:
    return other is not None and other.epoch == job.epoch
