"""The planner and the lifecycle under every order of events, for three jobs and two workers.

Each test takes some kinds of events and goes through all states that they lead to, or as many as its bound allows. On
each step the invariants of the lifecycle are checked, and from each state that it comes to rest where the facts demand.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pytest

from tests.support import happenings as world
from tests.support.domain import NOW, job, pool, snapshot, worker
from tests.support.exploration import Key, Search, key_of
from tests.support.happenings import Event, State, Step
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import ASSIGNED, Phase, allowed
from videofleet_api.protocol import JobState
from videofleet_operator.domain import suspicion
from videofleet_operator.domain.backoff import exhausted
from videofleet_operator.domain.model import Job, Record, Snapshot
from videofleet_operator.domain.planner import plan

SLOTS = ("w1", "w2")
UIDS = ("j1", "j2", "j3")
CAPACITY = 2
MOST_TURNS = 80
"""Plans and waits in which every state must have come to rest."""
CODES = (ErrorCode.INTERNAL, ErrorCode.NETWORK)


def beginning(uids: tuple[str, ...]) -> State:
    """Two equal jobs and one that differs, or some of them, all new; two workers of two slots each."""
    jobs = [job("j1"), job("j2"), job("j3", singlePass=True, restart={"maxAttempts": 2})]
    workers = [
        worker(slot, id=f"{slot}.1", instance=f"{slot}.1/1", capacity=CAPACITY, silent_for=world.JUST_HEARD)
        for slot in SLOTS
    ]
    some = [it for it in jobs if it.uid in uids]
    return State(snapshot(some, workers, [pool(capacityPerWorker=CAPACITY)]), {each.id: {} for each in workers})


def each(uids: tuple[str, ...], *kinds: str) -> list[Event]:
    """Events of some kinds, for every job and worker."""
    found = [world.WAIT, world.LOOK]
    for uid in uids:
        for slot in SLOTS:
            found += _reports(slot, uid, kinds)
        found += [world.switch(uid), world.edit(uid)] if "edits" in kinds else []
    for slot in SLOTS:
        found += [world.crash(slot), world.die(slot), world.come_up(slot)] if "crashes" in kinds else []
        found += [world.go(slot), world.come_up(slot)] if "losses" in kinds else []
        found += [world.drain(slot)] if "drains" in kinds else []
        found += [world.fall_silent(slot), world.come_back(slot)] if "silence" in kinds else []
    found += [world.allow(limit) for limit in (1, 2, None)] if "licence" in kinds else []
    found += [world.LOSE_WRITES] if "failed writes" in kinds else []
    return list({event.name: event for event in found}.values())


def _reports(slot: str, uid: str, kinds: tuple[str, ...]) -> list[Event]:
    found = [world.says(slot, uid, "has its first frame", JobState.RUNNING, frame=False)]
    if "ends" in kinds:
        found.append(world.says(slot, uid, "ends", JobState.ENDED, frame=True))
    if "errors" in kinds:
        found += [world.says(slot, uid, f"fails with {code}", JobState.FAILED, code, frame=None) for code in CODES]
        found.append(world.says(slot, uid, "is refused", JobState.REFUSED, ErrorCode.BAD_PARAMETER, frame=False))
    return found


# Invariants 1 to 4, on each step


def check(step: Step) -> None:
    before, after = step.before.seen, step.after.seen
    for uid, now in after.jobs.items():
        _check_record(before.jobs[uid], now)
    begun = [uid for uid in after.jobs if after.jobs[uid].record.next_epoch > before.jobs[uid].record.next_epoch]
    # A move is of a stream that counts already: a licence that was lowered meanwhile does not forbid it.
    if any(after.jobs[uid].record.phase is Phase.STARTING for uid in begun):
        _check_licence(before, after)
    for uid in begun:
        _check_capacity(before, after, after.jobs[uid])
    _check_processes(step.after)


def _check_record(old: Job, new: Job) -> None:
    before, after = old.record, new.record
    assert allowed(before.phase, after.phase), f"{before.phase} to {after.phase}"
    assert after.transitions == before.transitions + (after.phase is not before.phase)
    assert before.observed_generation <= after.observed_generation <= new.generation
    fresh = max(before.epoch, before.spent) + 1
    moved = after.worker is not None and after.worker != before.worker
    took_over = before.move is not None and after.worker == before.move.worker and after.epoch == before.move.epoch
    if not took_over:
        assert after.epoch == (fresh if moved else before.epoch), "an epoch is one assignment"
    if after.move is not None and after.move != before.move:
        assert after.move.epoch == fresh, "an epoch is given out once"
    assert max(after.spent, after.epoch) >= fresh - 1
    assert (after.worker is not None) == (after.phase in ASSIGNED)
    assert len(after.excluded) <= 3


def _check_licence(before: Snapshot, after: Snapshot) -> None:
    """Whichever of the writes come first."""
    held = {uid for uid in after.jobs if any(it.jobs[uid].record.phase in ASSIGNED for it in (before, after))}
    limit = before.licence.limit
    assert limit is None or len(held) <= limit, f"{len(held)} streams, {limit} allowed"


def _check_capacity(before: Snapshot, after: Snapshot, started: Job) -> None:
    there = started.record.move.worker if started.record.move else started.record.worker
    if there is None:
        # It was moved and came to an end in one step.
        return
    place = (there.id, there.instance)
    others = {
        uid
        for state in (before, after)
        for uid, it in state.jobs.items()
        if uid != started.uid and place in [each[:2] for each in world.assignments(it.record)]
    }
    assert len(others) < CAPACITY, f"{there.name} has no room"
    lonely = [uid for uid in (*others, started.uid) if suspicion.alone(after.jobs[uid].record)]
    assert not lonely or not others, f"{lonely} must be alone on {there.name}"


def _check_processes(state: State) -> None:
    """Of what the connected workers run, each epoch is written, and runs once."""
    running: Counter[tuple[str, int]] = Counter()
    for pod, it in state.seen.workers.items():
        for uid, report in state.truth.get(pod, {}).items() if it.connected else ():
            running[uid, report.epoch] += 1
            assert report.epoch in [epoch for _, _, epoch in world.assignments(state.seen.jobs[uid].record)]
    assert all(count == 1 for count in running.values()), running


# Invariant 5, from each state


@dataclass
class Rest:
    """Remembers from which states it is known that all comes to rest."""

    known: set[Key] = field(default_factory=set)
    longest: int = 0

    def check(self, state: State, key: Key) -> None:
        """Facts stay as they are: who is connected gets its frames, who is not stays away, nobody edits."""
        passed = [key]
        for turns in range(MOST_TURNS):
            if key in self.known:
                break
            state, resting = _turn(state)
            if resting:
                check_rest(state)
                break
            key = key_of(state, SLOTS)
            passed.append(key)
            self.longest = max(self.longest, turns + 1)
        else:
            raise AssertionError(f"no rest within {MOST_TURNS} plans: {state.seen.jobs}")
        self.known.update(passed)


def _turn(state: State) -> tuple[State, bool]:
    """A plan in which each connected worker has first frames of all its jobs; where it changes nothing, time passes."""
    framed = {
        pod: {
            uid: replace(known, state=JobState.RUNNING, first_frame=True, first_frame_time=NOW)
            if known.state is JobState.PREPARING
            else known
            for uid, known in jobs.items()
        }
        for pod, jobs in state.truth.items()
    }
    made = world.step(replace(state, truth=framed), world.LOOK)
    assert made is not None
    check(made)
    if made.made.records:
        return made.after, False
    later = world.WAIT.change(made.after)
    return (made.after, True) if later is None else (later, False)


def check_rest(state: State) -> None:
    """Every job is where its spec, the licence and the workers want it, and says so."""
    made = plan(state.seen)
    assert not made.records
    for uid, it in state.seen.jobs.items():
        record = it.record
        if not it.spec.enabled:
            assert record.phase is Phase.DISABLED
        elif not _over(it, record):
            assert record.phase in (Phase.INPROGRESS, Phase.AWAITING, Phase.TOO_MANY_CAMERAS), record
            if record.phase is Phase.INPROGRESS:
                _check_stays(state, record)
            else:
                assert made.waiting[uid].reason is record.reason or record.reason is Reason.SHED
                _check_wait(state, record)


def _check_stays(state: State, record: Record) -> None:
    """Nobody stays where it should not be while there is room elsewhere."""
    assert record.worker is not None
    assert record.move is None, "a move that never ends"
    if state.seen.workers[record.worker.id].drain:
        _check_no_room(state, record)


def _over(it: Job, record: Record) -> bool:
    given_up = record.phase is Phase.INTERRUPTED and suspicion.convicted(record)
    return record.finished or given_up or exhausted(record, it.spec.restart)


def _check_wait(state: State, record: Record) -> None:
    """Nobody waits for what is there."""
    limit = state.seen.licence.limit
    holders = sum(it.record.phase in ASSIGNED for it in state.seen.jobs.values())
    if record.phase is Phase.TOO_MANY_CAMERAS:
        assert limit is not None, "it waits for a licence without a limit"
        assert holders >= limit, f"it waits, but {holders} of {limit} streams run"
        return
    _check_no_room(state, record)


def _check_no_room(state: State, record: Record) -> None:
    for free in world.slots_ready(state):
        there = [it.record for it in state.seen.jobs.values() if it.record.worker and it.record.worker.id == free.id]
        full = len(there) >= CAPACITY or any(map(suspicion.alone, there)) or (suspicion.alone(record) and there)
        assert full, f"it waits ({record.reason}), but {free.name} has room"


# The searches


ALL = ("crashes", "drains", "losses", "silence", "ends", "errors", "edits", "licence", "failed writes")


class Orders(NamedTuple):
    """Which events a search goes through, for which jobs."""

    kinds: tuple[str, ...]
    most_steps: int
    """It ends here where it has not come to the end of all states."""
    jobs: tuple[str, ...] = UIDS
    patient: bool = True
    """Nothing further happens before the planner has nothing more to write."""


SEARCHES = {
    "workers crash": Orders(("crashes",), 4000),
    "workers are lost and come back": Orders(("losses", "silence"), 4000),
    "jobs end and fail": Orders(("ends", "errors"), 4000),
    "workers drain and crash": Orders(("drains", "crashes"), 4000),
    "users and the licence": Orders(("edits", "licence"), 4000),
    "everything, also between two writes": Orders(ALL, 4000, patient=False),
    "one job, everything, also between two writes": Orders(ALL, 20000, ("j1",), patient=False),
    "one job of a single pass, everything": Orders(ALL, 10000, ("j3",)),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_every_order(
    name: str, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    orders = SEARCHES[name]
    rest = Rest()
    search = Search(each(orders.jobs, *orders.kinds), SLOTS, check, patient=orders.patient)
    found = search.run(beginning(orders.jobs), orders.most_steps, rest.check)
    record_property("explored", str(found))
    with capsys.disabled():
        print(f"\n{name}: {found}; rest within {rest.longest} plans")
    assert found.closed or found.steps >= orders.most_steps
    assert found.states > 500
