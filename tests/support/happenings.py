"""The world around the planner, as a state and events that change it.

A step is one event, one plan and its writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from tests.support.domain import applied, report
from videofleet_api.codes import ErrorCode
from videofleet_api.phases import ASSIGNED
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_operator.domain.model import Job, Licence, Plan, Record, Seconds, Snapshot, Worker
from videofleet_operator.domain.placement import ready
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.reports import Report

JUST_HEARD = -1e9
"""`silent_for` of a worker that never falls silent by itself: no heartbeat is waited for."""
FAR: Seconds = 1e8
Truth = Mapping[str, Mapping[str, Report]]
"""What the process in each pod runs, by pod uid and job uid; no process, no entry."""


@dataclass(frozen=True, slots=True)
class State:
    """What the operator sees, and what is."""

    seen: Snapshot
    truth: Truth

    def worker(self, slot: str) -> Worker | None:
        """The pod in one of the two places, while there is one."""
        return next((each for each in self.seen.workers.values() if each.name == slot), None)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens. `change` gives None where it cannot happen."""

    name: str
    change: Callable[[State], State | None]
    partial: bool = False
    """Only the first of the writes that follow succeeds."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event, the plan that followed, and the states around it."""

    before: State
    event: Event
    made: Plan
    after: State


# What happens


def crash(slot: str) -> Event:
    """The process ends, and another one runs at once."""
    return Event(f"{slot} crashes", lambda state: _restart(state, slot) if _process(state, slot) else None)


def die(slot: str) -> Event:
    """The process ends, and its container waits for its restart."""

    def change(state: State) -> State | None:
        it = _process(state, slot)
        if it is None:
            return None
        return _with(state, replace(it, connected=False, died=True, silent_for=0.5), runs=None)

    return Event(f"{slot} dies", change)


def come_up(slot: str) -> Event:
    """A process starts where none runs: in the pod that is there, or in a new one."""

    def change(state: State) -> State | None:
        it = state.worker(slot)
        if it is not None:
            return None if it.id in state.truth else _restart(state, slot)
        made = 1 + max((int(each.id.rpartition(".")[2]) for each in _ever(state) if each.name == slot), default=0)
        template = next(iter(state.seen.workers.values()), None) or _TEMPLATE
        pod = f"{slot}.{made}"
        new = replace(template, name=slot, id=pod, instance=f"{pod}/1", connected=True, died=False, reports={})
        return _with(state, replace(new, silent_for=JUST_HEARD, drain=""), runs={})

    return Event(f"{slot} comes up", change)


def go(slot: str) -> Event:
    """The pod is deleted."""

    def change(state: State) -> State | None:
        it = state.worker(slot)
        if it is None:
            return None
        workers = {key: each for key, each in state.seen.workers.items() if key != it.id}
        return State(replace(state.seen, workers=workers), _without(state.truth, it.id))

    return Event(f"the pod of {slot} is gone", change)


def fall_silent(slot: str) -> Event:
    """Nothing is heard of the worker any more; it goes on."""

    def change(state: State) -> State | None:
        it = state.worker(slot)
        if it is None or not it.connected:
            return None
        return replace(state, seen=_seen(state.seen, replace(it, connected=False, silent_for=0.5)))

    return Event(f"{slot} falls silent", change)


def come_back(slot: str) -> Event:
    """A silent worker is heard again; it tells of everything that it runs."""

    def change(state: State) -> State | None:
        it = _process(state, slot)
        if it is None or it.connected:
            return None
        return replace(state, seen=_seen(state.seen, replace(it, connected=True, silent_for=JUST_HEARD)))

    return Event(f"{slot} is back", change)


def drain(slot: str) -> Event:
    """A worker's jobs are to go elsewhere, or may stay again."""

    def change(state: State) -> State | None:
        it = state.worker(slot)
        if it is None:
            return None
        return replace(state, seen=_seen(state.seen, replace(it, drain="" if it.drain else "is drained")))

    return Event(f"{slot} is drained, or not any more", change)


def says(slot: str, uid: str, what: str, said: JobState, code: ErrorCode | None = None, *, frame: bool | None) -> Event:
    """A process reports of a job. `frame`: whether it must have had its first frame; None: either way."""

    def change(state: State) -> State | None:
        it = _process(state, slot)
        old = state.truth[it.id].get(uid) if it is not None else None
        if it is None or old is None or old.state in TERMINAL or frame not in (None, old.first_frame):
            return None
        started = old.first_frame or said in (JobState.RUNNING, JobState.ENDED)
        new = report(uid, old.epoch, said, first_frame=started, first_frame_time=state.seen.now, code=code)
        return replace(state, truth={**state.truth, it.id: {**state.truth[it.id], uid: new}})

    return Event(f"{uid} {what} on {slot}", change)


def switch(uid: str) -> Event:
    """`enabled` becomes the other one."""

    def change(state: State) -> State:
        it = state.seen.jobs[uid]
        spec = it.spec.model_copy(update={"enabled": not it.spec.enabled})
        return replace(state, seen=_respecified(state.seen, replace(it, spec=spec)))

    return Event(f"{uid} is switched", change)


def edit(uid: str) -> Event:
    """What a worker is given becomes something else."""

    def change(state: State) -> State:
        it = state.seen.jobs[uid]
        return replace(state, seen=_respecified(state.seen, replace(it, digest="d2" if it.digest == "d1" else "d1")))

    return Event(f"{uid} is edited", change)


def allow(limit: int | None) -> Event:
    """The licence changes."""

    def change(state: State) -> State | None:
        if state.seen.licence.limit == limit:
            return None
        return replace(state, seen=replace(state.seen, licence=Licence(limit)))

    return Event(f"the licence allows {limit}", change)


def _wait(state: State) -> State | None:
    """Time passes until the planner wants to look again."""
    wake = plan(_told(state)).wake
    return None if wake is None or wake > state.seen.now + FAR else _later(state, wake - state.seen.now)


WAIT = Event("time passes", _wait)
LOOK = Event("another plan", lambda state: state)
LOSE_WRITES = Event("another plan, of which one write succeeds", lambda state: state, partial=True)


# One step


def step(before: State, event: Event) -> Step | None:
    """What follows from an event; None where it cannot happen."""
    changed = event.change(before)
    if changed is None:
        return None
    told = _told(changed)
    made = plan(told)
    records = dict(sorted(made.records.items())[:1]) if event.partial else made.records
    written = replace(applied(told, records), buckets=made.buckets)
    return Step(State(told, changed.truth), event, made, State(written, _delivered(written, changed.truth)))


def _told(state: State) -> Snapshot:
    """The operator hears what the processes that it is connected to say."""
    workers = {
        key: replace(each, reports=state.truth.get(key, {})) if each.connected else each
        for key, each in state.seen.workers.items()
    }
    return replace(state.seen, workers=workers)


def assignments(record: Record) -> list[tuple[str, str, int]]:
    """What a record has workers run: pod uid, instance and epoch of each."""
    if record.worker is None or record.phase not in ASSIGNED:
        return []
    held = [(record.worker, record.epoch)] + ([(record.move.worker, record.move.epoch)] if record.move else [])
    return [(worker.id, worker.instance, epoch) for worker, epoch in held]


def _delivered(seen: Snapshot, truth: Truth) -> Truth:
    """Workers that are connected run what the records that were written give them, and nothing else."""
    wanted: dict[tuple[str, str], dict[str, int]] = {}
    for uid, each in seen.jobs.items():
        for pod, instance, epoch in assignments(each.record):
            wanted.setdefault((pod, instance), {})[uid] = epoch
    result = dict(truth)
    for key, it in seen.workers.items():
        if it.connected and key in truth:
            mine = wanted.get((key, it.instance or ""), {})
            result[key] = {uid: _kept(truth[key].get(uid), uid, epoch) for uid, epoch in mine.items()}
    return result


def _kept(old: Report | None, uid: str, epoch: int) -> Report:
    return old if old is not None and old.epoch == epoch else report(uid, epoch, JobState.PREPARING)


# Changes


_TEMPLATE = Worker(
    "", "default/p", "", "node", 2, None, True, JUST_HEARD, leaving=False, steps=frozenset({"detect", "track"})
)


def _ever(state: State) -> Iterator[Worker]:
    """Pods that are there, and those that a record still names: their uids are never used again."""
    yield from state.seen.workers.values()
    for each in state.seen.jobs.values():
        held = [it.worker for it in (each.record, each.record.move) if it is not None and it.worker is not None]
        for known in (*held, *each.record.excluded):
            yield replace(_TEMPLATE, name=known.name, id=known.id)


def _process(state: State, slot: str) -> Worker | None:
    it = state.worker(slot)
    return it if it is not None and it.id in state.truth else None


def _restart(state: State, slot: str) -> State:
    it = state.worker(slot)
    assert it is not None
    number = int((it.instance or "/0").rpartition("/")[2]) + 1
    again = replace(it, instance=f"{it.id}/{number}", connected=True, died=False, silent_for=JUST_HEARD, reports={})
    return _with(state, again, runs={})


def _with(state: State, it: Worker, runs: Mapping[str, Report] | None) -> State:
    truth = _without(state.truth, it.id) if runs is None else {**state.truth, it.id: runs}
    return State(_seen(state.seen, it), truth)


def _seen(seen: Snapshot, it: Worker) -> Snapshot:
    return replace(seen, workers={**seen.workers, it.id: it})


def _without(truth: Truth, pod: str) -> Truth:
    return {key: each for key, each in truth.items() if key != pod}


def _respecified(seen: Snapshot, it: Job) -> Snapshot:
    return replace(seen, jobs={**seen.jobs, it.uid: replace(it, generation=it.generation + 1)})


def _later(state: State, seconds: Seconds) -> State:
    workers = {
        key: each if each.connected else replace(each, silent_for=each.silent_for + seconds)
        for key, each in state.seen.workers.items()
    }
    return replace(state, seen=replace(state.seen, workers=workers, now=state.seen.now + seconds))


def slots_ready(state: State) -> list[Worker]:
    """Workers that take jobs."""
    return [each for each in state.seen.workers.values() if ready(each)]
