"""Every order of events for a few jobs and workers: the world around the planner, and a search through its states.

A step is one event, one plan and its writes. Two states are the same if they differ in nothing but times (their order
counts), epochs, runs, counters, the names of workers, and which of several equal jobs is which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tests.support.domain import applied, report
from videofleet_api.codes import ErrorCode
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_api.protocol import TERMINAL, JobReport, JobState
from videofleet_operator.domain import observation
from videofleet_operator.domain.model import Job, Licence, Plan, Record, Seconds, Snapshot, Worker
from videofleet_operator.domain.placement import SILENT_AFTER, ready
from videofleet_operator.domain.planner import plan

JUST_HEARD = -1e9
"""`silent_for` of a worker that never falls silent by itself: no heartbeat is waited for."""
FAR: Seconds = 1e8
Truth = Mapping[str, Mapping[str, JobReport]]
"""What the process in each pod runs, by pod uid and job uid; no process, no entry."""
Key = tuple[str, ...]


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
        return _with(state, replace(new, silent_for=JUST_HEARD), runs={})

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
    held = record.worker
    return [] if held is None or record.phase not in ASSIGNED else [(held.id, held.instance, record.epoch)]


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


def _kept(old: JobReport | None, uid: str, epoch: int) -> JobReport:
    return old if old is not None and old.epoch == epoch else report(uid, epoch, JobState.PREPARING)


# Changes


_TEMPLATE = Worker(
    "", "default/p", "", "node", 2, None, True, JUST_HEARD, leaving=False, steps=frozenset({"detect", "track"})
)


def _ever(state: State) -> Iterator[Worker]:
    """Pods that are there, and those that a record still names: their uids are never used again."""
    yield from state.seen.workers.values()
    for each in state.seen.jobs.values():
        held = [each.record.worker] if each.record.worker else []
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


def _with(state: State, it: Worker, runs: Mapping[str, JobReport] | None) -> State:
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


# Which states are the same


def key_of(state: State, slots: tuple[str, ...]) -> Key:
    """The state without what makes no difference."""
    return min(_key(state, order) for order in (slots, slots[::-1]))


def _key(state: State, slots: tuple[str, ...]) -> Key:
    jobs = state.seen.jobs.values()
    dues = sorted({due for each in jobs if (due := _due(state, each)) is not None})
    waits = sorted({each.record.since for each in jobs})
    told = sorted(repr(_job_key(state, each, slots, dues, waits)) for each in jobs)
    workers = (repr(_worker_key(state, slot)) for slot in slots)
    return repr(state.seen.licence.limit), *workers, *told


def _worker_key(state: State, slot: str) -> tuple[object, ...] | None:
    it = state.worker(slot)
    return None if it is None else (it.connected, it.died, it.silent_for >= SILENT_AFTER, it.id in state.truth)


def _job_key(
    state: State, it: Job, slots: tuple[str, ...], dues: list[Seconds], waits: list[Seconds]
) -> tuple[object, ...]:
    record = it.record
    due = _due(state, it)
    waiting = record.phase in (Phase.AWAITING, Phase.TOO_MANY_CAMERAS, Phase.DISCONNECTED)
    return (
        (it.spec.single_pass, it.spec.restart.max_attempts, it.spec.enabled),
        (it.generation > record.observed_generation, it.digest == record.spec_digest, record.completed is None),
        (record.phase.value, str(record.reason), record.finished, min(record.attempt, 2), record.suspicion),
        (record.first_frame is None, record.run > 0, record.observed_generation > 0),
        -1 if due is None else dues.index(due),
        waits.index(record.since) if waiting else -1,
        _place(state, record, slots),
        tuple(_excluded_key(state, record, slot) for slot in slots),
        tuple(_runs_key(state, it, slot) for slot in slots),
    )


def _due(state: State, it: Job) -> Seconds | None:
    held = it.record.worker
    worker = state.seen.workers.get(held.id) if held else None
    due = observation.next_time(it, it.record, worker, state.seen.now)
    return None if due is None else max(due, state.seen.now)


def _place(state: State, record: Record, slots: tuple[str, ...]) -> tuple[object, ...] | None:
    held = record.worker
    if held is None:
        return None
    there = state.seen.workers.get(held.id)
    return slots.index(held.name), there is not None, there is not None and there.instance == held.instance


def _excluded_key(state: State, record: Record, slot: str) -> bool:
    it = state.worker(slot)
    return it is not None and any(each.id == it.id and each.instance == it.instance for each in record.excluded)


def _runs_key(state: State, it: Job, slot: str) -> tuple[object, ...] | None:
    pod = state.worker(slot)
    known = state.truth.get(pod.id, {}).get(it.uid) if pod is not None else None
    if known is None:
        return None
    return known.epoch == it.record.epoch, known.state.value, known.first_frame, str(known.code)


# The search


@dataclass
class Found:
    """What a search has seen."""

    states: int = 0
    steps: int = 0
    depth: int = 0
    """Events from the beginning to the farthest state."""
    closed: bool = False
    """No state is left that was not gone on from."""
    phases: set[tuple[Phase, Phase]] = field(default_factory=set)
    """Edges that were taken."""

    def __str__(self) -> str:
        end = "all there are" if self.closed else f"up to {self.depth} events deep"
        return f"{self.states} states, {self.steps} steps, {len(self.phases)} edges, {end}"


class Search:
    """Breadth first, until there is no new state or enough steps were made."""

    def __init__(
        self, events: list[Event], slots: tuple[str, ...], check: Callable[[Step], None], *, patient: bool = False
    ) -> None:
        """`patient`: nothing further happens before the planner has nothing more to write; else at any time."""
        self._events = events
        self._patient = patient
        self._slots = slots
        self._check = check
        self.found = Found()

    def run(self, begin: State, most_steps: int, visit: Callable[[State, Key], None]) -> Found:
        """`visit` gets each new state. An AssertionError tells the events that led to it."""
        first = key_of(begin, self._slots)
        paths: dict[Key, tuple[str, ...]] = {first: ()}
        ahead = deque([(begin, first)])
        while ahead and self.found.steps < most_steps:
            state, key = ahead.popleft()
            for event in self._events:
                try:
                    made = self._step(state, event)
                    if made is None or (other := key_of(made.after, self._slots)) in paths:
                        continue
                    visit(made.after, other)
                except AssertionError as error:
                    raise AssertionError(f"{error}\nafter: {'; '.join((*paths[key], event.name))}") from error
                paths[other] = (*paths[key], event.name)
                ahead.append((made.after, other))
        self.found.states, self.found.closed = len(paths), not ahead
        self.found.depth = max(map(len, paths.values()))
        return self.found

    def _step(self, state: State, event: Event) -> Step | None:
        made = self._one_step(state, event)
        while self._patient and made is not None and made.made.records:
            made = self._one_step(made.after, LOOK)
        return made

    def _one_step(self, state: State, event: Event) -> Step | None:
        made = step(state, event)
        if made is None:
            return None
        self.found.steps += 1
        self._check(made)
        for uid, each in made.after.seen.jobs.items():
            old = made.before.seen.jobs[uid].record.phase
            if each.record.phase is not old:
                self.found.phases.add((old, each.record.phase))
        return made


def slots_ready(state: State) -> list[Worker]:
    """Workers that take jobs."""
    return [each for each in state.seen.workers.values() if ready(each)]
