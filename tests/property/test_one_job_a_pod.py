"""In a pool that isolates its jobs no pod is ever given a second one, whatever happens; and the jobs run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.domain import NOW, failed, job, pool, report, snapshot, used_slots, waiting_slots, worker
from videofleet_api.codes import ErrorCode
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_api.protocol import JobState
from videofleet_operator.domain.model import Job, Snapshot, Worker
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.pools import Pod, PodState, plan_pool
from videofleet_operator.domain.reports import Report

POOL = pool(isolation="pod", minWorkers=1, maxWorkers=3, scaleDownDelay=0)
NAMES = ("a", "b", "c", "d")
ACTIONS = ("nothing", "end", "fail", "edit", "crash", "lose", "delete")


@dataclass
class Running:
    """A worker pod as the cluster has it."""

    place: tuple[int, int]
    instance: str
    created: float
    restarts: int = 0
    served: set[tuple[str, int]] = field(default_factory=set)
    """Every (job, epoch) that it was ever given."""


class Site:
    """One pool, its pods and jobs, with an operator that forgets everything between two passes."""

    def __init__(self) -> None:
        self.now = NOW
        self.pods: dict[str, Running] = {}
        self.jobs: dict[str, Job] = {name: job(name, slots=5, restart={"delay": 0.1, "maxDelay": 1}) for name in NAMES}
        self.said: dict[str, Report] = {}
        self._numbers = itertools.count()

    def happens(self, action: str, name: str) -> None:
        """One thing to the job, or to the pod that it runs in."""
        record = self.jobs[name].record
        running = record.worker is not None and record.phase in ASSIGNED
        match action:
            case "end" if running:
                self.said[name] = report(name, record.epoch, JobState.ENDED, first_frame=True)
            case "fail" if running:
                self.said[name] = failed(ErrorCode.NETWORK, name, record.epoch, first_frame=True)
            case "edit":
                edited = self.jobs[name]
                self.jobs[name] = replace(edited, digest=f"d{next(self._numbers)}", generation=edited.generation + 1)
            case "crash" if record.worker is not None and record.worker.id in self.pods:
                pod = self.pods[record.worker.id]
                pod.restarts += 1
                pod.instance = f"{pod.instance}'"
            case "lose" if record.worker is not None:
                self.pods.pop(record.worker.id, None)
            case "delete":
                self.jobs[name] = job(f"{name}", created=self.now)
            case _:
                pass

    def passes(self) -> None:
        """One pass of the operator, and what follows from it."""
        seen = self._snapshot()
        for uid, record in plan(seen).records.items():
            self.jobs[uid] = replace(self.jobs[uid], record=record)
        for uid, each in self.jobs.items():
            record = each.record
            if record.phase is Phase.STARTING and record.worker is not None and record.worker.id in self.pods:
                self.pods[record.worker.id].served.add((uid, record.epoch))
                self.said[uid] = report(uid, record.epoch, first_frame=True)
        self._scale()
        self.now += 2

    def _snapshot(self) -> Snapshot:
        return snapshot(
            self.jobs.values(), [self._worker(uid, pod) for uid, pod in self.pods.items()], [POOL], now=self.now
        )

    def _worker(self, uid: str, pod: Running) -> Worker:
        told = {name: said for name, said in self.said.items() if (name, said.epoch) in pod.served and not pod.restarts}
        spent = bool(pod.served) or pod.restarts > 0
        return worker(uid, id=uid, capacity=1, instance=pod.instance, spent=spent, reports=told)

    def _scale(self) -> None:
        seen = self._snapshot()
        used = used_slots(seen)
        views = {uid: self._view(uid, pod, used.get(uid, 0)) for uid, pod in self.pods.items()}
        decided = plan_pool(POOL, list(views.values()), waiting_slots(seen)[POOL.key], self.now)
        for name in decided.delete:
            del self.pods[name]
        for place in decided.create:
            number = next(self._numbers)
            self.pods[f"pod{number}"] = Running((place.ordinal, place.incarnation), f"i{number}", self.now)

    def _view(self, uid: str, pod: Running, used: int) -> Pod:
        state = PodState.FAILED if pod.restarts and not used else PodState.READY
        spent = bool(pod.served) or pod.restarts > 0
        idle = None if used else self.now
        ordinal, incarnation = pod.place
        return Pod(uid, ordinal, incarnation, state, pod.created, used, idle, pod.created, spent=spent)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NAMES)), max_size=25))
def test_no_pod_is_given_a_second_job(story: list[tuple[str, str]]) -> None:
    site = Site()
    ever: dict[str, Running] = {}
    for action, name in story:
        site.happens(action, name)
        site.passes()
        ever |= site.pods
        assert len(site.pods) <= POOL.spec.max_workers
    for _ in range(40):
        site.passes()
        ever |= site.pods
    assert all(len(pod.served) <= 1 for pod in ever.values())
    phases = [each.record.phase for each in site.jobs.values()]
    assert phases.count(Phase.INPROGRESS) == POOL.spec.max_workers, "three of the four run in the end"
