"""Builders of what decisions are made from."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from videofleet_api.codes import ErrorCode
from videofleet_api.phases import Phase
from videofleet_api.protocol import JobState
from videofleet_api.videojob import Restart, VideoJobSpec
from videofleet_api.workerpool import WorkerPoolSpec
from videofleet_operator.domain import demand
from videofleet_operator.domain.licence import recorded
from videofleet_operator.domain.model import Assigned, Job, Licence, Plan, Pool, Record, Snapshot, Worker
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.records import Context
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.tally import Tally

NOW = 1_800_000_000.0
STEPS = frozenset({"detect", "track"})


def spec(**fields: Any) -> VideoJobSpec:
    """A VideoJob's spec; fields by their names on the wire."""
    given = {"source": {"url": "rtsp://camera.example/1"}, "analytics": [{"steps": [{"model": "detect"}]}], **fields}
    return VideoJobSpec.model_validate(given)


def job(uid: str = "j1", record: Record | None = None, **fields: Any) -> Job:
    """A VideoJob that needs nothing more to start. Further fields: those of Job, else those of the spec."""
    own = {
        key: fields.pop(key)
        for key in ("generation", "created", "digest", "run_digest", "settings", "problem", "namespace", "opening")
        if key in fields
    }
    # Unless a test says more, what a worker is given is all of what is analysed.
    own.setdefault("run_digest", own.get("digest", "d1"))
    wanted = spec(**fields)
    base = Job(uid, "default", uid, 1, NOW - 100, wanted, record or Record(), digest="d1")
    return replace(base, recorded=recorded(wanted.source), **own)


def context(**restart: Any) -> Context:
    """What the lifecycle knows of a job; `single_pass` apart, all are fields of restart."""
    single_pass = bool(restart.pop("single_pass", False))
    return Context("j1", 1, single_pass, Restart(**restart))


def pool(name: str = "p", namespace: str = "default", **fields: Any) -> Pool:
    """A WorkerPool, without further ado in the namespace of the jobs; fields by their names on the wire."""
    return Pool(f"uid-{name}", namespace, name, 1, WorkerPoolSpec.model_validate(fields))


def worker(name: str = "w1", of: str = "default/p", **fields: Any) -> Worker:
    """A worker that answers."""
    base = Worker(name, of, f"id-{name}", "node", 16, f"instance-{name}", True, 0.5, False, STEPS)
    return replace(base, **fields)


def assigned(to: Worker | None = None) -> Assigned:
    """The mark of a worker in a record."""
    it = to or worker()
    return Assigned(it.name, it.pool, it.id, it.instance or "", it.node)


def record(phase: Phase, **fields: Any) -> Record:
    """A record of a job that has run before, in the given phase since 10 seconds."""
    on_worker = phase in (Phase.STARTING, Phase.INPROGRESS, Phase.DISCONNECTED)
    base = Record(
        phase=phase,
        observed_generation=1,
        run=1,
        epoch=3,
        transitions=7,
        since=NOW - 10,
        worker=assigned() if on_worker else None,
        spec_digest="d1",
        run_digest="d1",
        first_frame=NOW - 9 if phase is Phase.INPROGRESS else None,
    )
    return replace(base, **fields)


def report(uid: str = "j1", epoch: int = 3, state: JobState = JobState.RUNNING, **fields: Any) -> Report:
    """What a worker says of a job."""
    return Report(uid, epoch, state, **fields)


def failed(code: ErrorCode, uid: str = "j1", epoch: int = 3, **fields: Any) -> Report:
    """A worker's report of an error."""
    return report(uid, epoch, JobState.FAILED, code=code, message=f"it was {code}", **fields)


def snapshot(
    jobs: Iterable[Job] = (),
    workers: Iterable[Worker] = (),
    pools: Iterable[Pool] | None = None,
    licence: Licence | None = None,
    now: float = NOW,
) -> Snapshot:
    """A cluster with the one pool `default/p`, unless others are given."""
    return Snapshot(
        now=now,
        jobs={each.uid: each for each in jobs},
        pools={each.key: each for each in ((pool(),) if pools is None else pools)},
        workers={each.id: each for each in workers},
        licence=licence or Licence(),
    )


def applied(before: Snapshot, records: Mapping[str, Record], after: float = 0.0) -> Snapshot:
    """The snapshot once records have been written and some time has passed."""
    jobs = {uid: replace(each, record=records.get(uid, each.record)) for uid, each in before.jobs.items()}
    return replace(before, jobs=jobs, now=before.now + after)


def with_worker(before: Snapshot, changed: Worker) -> Snapshot:
    """The snapshot with a worker as it now is."""
    return replace(before, workers={**before.workers, changed.id: changed})


def settled(before: Snapshot, rounds: int = 10) -> tuple[Snapshot, list[Plan]]:
    """Plans and writes until a plan changes nothing. Raises AssertionError if that takes too many rounds."""
    plans: list[Plan] = []
    for _ in range(rounds):
        made = plan(before)
        if not made.records:
            return before, plans
        plans.append(made)
        before = applied(before, made.records)
    raise AssertionError(f"still writing after {rounds} plans: {plans[-1].records}")


def phases(of: Snapshot) -> dict[str, Phase]:
    """Phase of each job, by uid."""
    return {uid: each.record.phase for uid, each in of.jobs.items()}


def used_slots(of: Snapshot) -> dict[str, int]:
    """Slots that jobs hold, by worker id."""
    return dict(Tally.of(of).used)


def waiting_slots(of: Snapshot) -> dict[str, list[int]]:
    """Slots of the jobs that wait for more workers, by pool."""
    return demand.waiting_slots(of, Tally.of(of))
