"""A search through every order of events, for a few jobs and workers.

Two states are the same if they differ in nothing but times (their order counts), epochs, runs, counters, the names of
workers, and which of several equal jobs is which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.happenings import LOOK, Event, State, Step, step
from videofleet_api.phases import Phase
from videofleet_operator.domain import observation
from videofleet_operator.domain.model import Assigned, Job, Record, Seconds
from videofleet_operator.domain.placement import SILENT_AFTER

Key = tuple[str, ...]


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
    if it is None:
        return None
    return it.connected, it.died, it.silent_for >= SILENT_AFTER, it.id in state.truth, bool(it.drain)


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
        _place(state, record.worker, slots),
        _place(state, record.move.worker if record.move else None, slots),
        record.next_move is None,
        tuple(_excluded_key(state, record, slot) for slot in slots),
        tuple(_runs_key(state, it, slot) for slot in slots),
    )


def _due(state: State, it: Job) -> Seconds | None:
    held = it.record.worker
    worker = state.seen.workers.get(held.id) if held else None
    due = observation.next_time(it, it.record, worker, state.seen.now)
    times = [time for time in (due, it.record.next_move) if time is not None]
    return max(min(times), state.seen.now) if times else None


def _place(state: State, held: Assigned | None, slots: tuple[str, ...]) -> tuple[object, ...] | None:
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
    move = it.record.move
    mine = known.epoch == it.record.epoch, move is not None and known.epoch == move.epoch
    return *mine, known.state.value, known.first_frame, str(known.code)


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
