"""The invariants of the lifecycle, checked on every version of every object that the API server ever told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from videofleet_api.phases import ASSIGNED, EDGES, Phase
from videofleet_api.protocol import AssignmentSet, JobReport, JobState

Json = dict[str, Any]
_NEVER_BACK = ("observedGeneration", "epoch", "transitions", "run")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job on a worker, as status tells it."""

    uid: str
    epoch: int
    pod: str


@dataclass
class Invariants:
    """Feed it every version in the order of the watch; `violations` says in sentences what should not have been."""

    limit: int | None = None
    """Streams that the licence allows; the larger one while the operator has not told of a new one yet."""
    violations: list[str] = field(default_factory=list)
    jobs: dict[str, Json] = field(default_factory=dict)
    pools: dict[str, Json] = field(default_factory=dict)
    told: set[Assignment] = field(default_factory=set)
    """Every assignment that a status has told."""
    first_frames: list[tuple[str, str, int]] = field(default_factory=list)
    """(name, uid, epoch) of every write of INPROGRESS."""
    ends: list[tuple[str, str, int]] = field(default_factory=list)

    def pool(self, pool: Json) -> None:
        """A version of a WorkerPool."""
        self.pools[pool["metadata"]["name"]] = pool

    def job(self, job: Json) -> None:
        """A version of a VideoJob."""
        uid = job["metadata"]["uid"]
        before = self.jobs.get(uid, {}).get("status") or {}
        after = job.get("status") or {}
        self.jobs[uid] = job
        if after != before:
            self._status(job, before, after)

    def deleted(self, job: Json) -> None:
        """A VideoJob is gone."""
        self.jobs.pop(job["metadata"]["uid"], None)

    def _status(self, job: Json, before: Json, after: Json) -> None:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        if not after:
            self._say(name, "its status is gone")
            return
        old, new = _phase(before), _phase(after)
        self._edge(name, before, after)
        self._counters(name, before, after, job["metadata"]["generation"])
        for assignment in _assignments(uid, after):
            self.told.add(assignment)
        starts = new is Phase.STARTING and (old is not new or before.get("epoch") != after.get("epoch"))
        moves = "move" in after and after["move"] != before.get("move")
        if starts or moves:
            self._capacity(name, after)
        if starts and old not in ASSIGNED:
            self._licence(name)
        if new is not old or before.get("epoch") != after.get("epoch"):
            if new is Phase.INPROGRESS:
                self.first_frames.append((name, uid, after["epoch"]))
            if new is Phase.COMPLETED:
                self.ends.append((name, uid, after["epoch"]))

    def _edge(self, name: str, before: Json, after: Json) -> None:
        old, new = _phase(before), _phase(after)
        if new is not old and new not in EDGES[old]:
            self._say(name, f"there is no edge from {old} to {new}")
        steps = after.get("transitions", 0) - before.get("transitions", 0)
        if steps != (new is not old):
            self._say(name, f"transitions went up by {steps} with {old} to {new}")
        if new in ASSIGNED and not after.get("worker"):
            self._say(name, f"{new} without a worker")

    def _counters(self, name: str, before: Json, after: Json, generation: int) -> None:
        for counter in _NEVER_BACK:
            if after.get(counter, 0) < before.get(counter, 0):
                self._say(name, f"{counter} went back from {before.get(counter)} to {after.get(counter)}")
        if after.get("observedGeneration", 0) > generation:
            self._say(name, f"observed generation {after['observedGeneration']} of {generation}")
        new_epoch = after.get("epoch", 0) != before.get("epoch", 0)
        moved = (before.get("move") or {}).get("epoch") == after.get("epoch")
        if new_epoch and not moved and _phase(after) is not Phase.STARTING:
            self._say(name, f"epoch {after['epoch']} was given out with phase {_phase(after)}")
        if _phase(after) is Phase.STARTING and _phase(before) not in ASSIGNED and not new_epoch:
            self._say(name, f"epoch {after.get('epoch')} was given out twice")

    def _capacity(self, name: str, after: Json) -> None:
        """No write of STARTING or of a move gives a worker more than it has room for."""
        used: Counter[tuple[str, str]] = Counter()
        pool_of: dict[tuple[str, str], str] = {}
        for job in self.jobs.values():
            for worker in _workers(job.get("status") or {}):
                key = (worker["id"], worker.get("instance", ""))
                used[key] += job["spec"].get("slots", 1)
                pool_of[key] = worker["pool"].rpartition("/")[2]
        for worker in _workers(after):
            key = (worker["id"], worker.get("instance", ""))
            capacity = self.pools[pool_of[key]]["spec"]["capacityPerWorker"]
            if used[key] > capacity:
                self._say(name, f"worker {worker['name']} was given {used[key]} of {capacity} slots")

    def _licence(self, name: str) -> None:
        used = sum(_phase(job.get("status") or {}) in ASSIGNED for job in self.jobs.values())
        if self.limit is not None and used > self.limit:
            self._say(name, f"stream {used} was started with a licence for {self.limit}")

    # At the end

    def check_workers(self, sets: Iterable[tuple[str, AssignmentSet]], reports: Iterable[JobReport]) -> None:
        """What workers were given was told by a status; what statuses tell was reported for that very epoch."""
        for pod, wanted in sets:
            for entry in wanted.entries:
                if Assignment(entry.uid, entry.epoch, pod) not in self.told:
                    self._say(entry.name, f"worker {pod} was given epoch {entry.epoch} that no status ever told")
        facts: dict[tuple[str, int], set[str]] = defaultdict(set)
        for report in reports:
            if report.first_frame:
                facts[report.uid, report.epoch].add("first frame")
            if report.state is JobState.ENDED:
                facts[report.uid, report.epoch].add("end")
        for fact, claims in (("first frame", self.first_frames), ("end", self.ends)):
            for name, uid, epoch in claims:
                if fact not in facts[uid, epoch]:
                    self._say(name, f"no worker reported the {fact} of epoch {epoch} that status tells")

    def check_epochs(self, seen: dict[str, list[int]]) -> None:
        """No two runs of a job have the same epoch, and no run begins with an older one than another."""
        for name, epochs in seen.items():
            if epochs != sorted(set(epochs)):
                self._say(name, f"workers began its epochs in the order {epochs}")

    def _say(self, name: str, what: str) -> None:
        self.violations.append(f"{name}: {what}")


def _phase(status: Json) -> Phase:
    return Phase(status.get("phase", Phase.AWAITING))


def _workers(status: Json) -> list[Json]:
    """The workers that a status gives a job to: that of an assigned phase, and that of a move."""
    if _phase(status) not in ASSIGNED:
        return []
    return [each for each in (status.get("worker"), (status.get("move") or {}).get("worker")) if each]


def _assignments(uid: str, status: Json) -> list[Assignment]:
    found = []
    if _phase(status) in ASSIGNED and status.get("worker"):
        found.append(Assignment(uid, status["epoch"], status["worker"]["name"]))
    move = status.get("move")
    if move:
        found.append(Assignment(uid, move["epoch"], move["worker"]["name"]))
    return found
