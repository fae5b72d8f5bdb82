"""Moves: a running job leaves its worker only when another one has its first frame."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.domain import NOW, applied, assigned, context, job, pool, record, report, snapshot, worker
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import Phase
from videofleet_api.protocol import JobState
from videofleet_operator.domain import facts
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Job, Licence, Move, Record, Snapshot, Why
from videofleet_operator.domain.moves import retry_wait
from videofleet_operator.domain.planner import plan

P = Phase
Change = Callable[[Snapshot], Snapshot]
W1, W2, W3 = worker("w1"), worker("w2"), worker("w3")
RUNS = job("j1", record(P.INPROGRESS, worker=assigned(W1)))


def w(name: str, **fields: Any) -> Change:
    """A worker becomes this."""
    key = f"id-{name}"
    return lambda now: replace(now, workers={**now.workers, key: replace(now.workers[key], **fields)})


def gone(name: str) -> Change:
    """A worker's pod is gone."""
    return lambda now: replace(now, workers={key: each for key, each in now.workers.items() if key != f"id-{name}"})


def says(name: str, epoch: int, state: JobState, **fields: Any) -> Change:
    """A worker reports of the job."""
    said = report("j1", epoch, state, **fields)
    return w(name, reports={"j1": said})


def nothing(now: Snapshot) -> Snapshot:
    return now


def edited(**fields: Any) -> Change:
    def change(now: Snapshot) -> Snapshot:
        old = now.jobs["j1"]
        return replace(now, jobs={**now.jobs, "j1": replace(old, generation=old.generation + 1, **fields)})

    return change


drained = w("w1", drain="is to be emptied")
taken_away = w("w1", leaving=True)
runs = {"first_frame": True, "first_frame_time": NOW + 5}


def seen(of: Record) -> tuple[Phase, str | None, int, str | None, int | None]:
    """Phase, worker, epoch, the move's worker, the move's epoch."""
    on, move = of.worker, of.move
    return of.phase, on and on.name, of.epoch, move and move.worker.name, move and move.epoch


@dataclass(frozen=True)
class Step:
    """What happens, how long after, and what is in the record when it is quiet again."""

    change: Change
    after: float
    expected: tuple[Phase, str | None, int, str | None, int | None]


STILL = (P.INPROGRESS, "w1", 3, None, None)
MOVES = (P.INPROGRESS, "w1", 3, "w2", 4)
MOVED = (P.INPROGRESS, "w2", 4, None, None)
BEGUN = Step(drained, 1, MOVES)

STORIES: dict[str, list[Step]] = {
    "the first frame there makes it the job's": [
        BEGUN,
        Step(says("w2", 4, JobState.PREPARING), 1, MOVES),
        Step(says("w2", 4, JobState.RUNNING), 1, MOVES),
        Step(says("w2", 4, JobState.RUNNING, **runs), 1, MOVED),
        Step(says("w1", 3, JobState.SUPERSEDED, first_frame=True), 1, MOVED),
    ],
    "a pod that is being deleted and still answers": [
        Step(taken_away, 1, MOVES),
        Step(says("w2", 4, JobState.RUNNING, **runs), 1, MOVED),
        Step(gone("w1"), 1, MOVED),
    ],
    "a first frame is the job's whatever became of its own worker": [
        BEGUN,
        Step(lambda now: gone("w1")(says("w2", 4, JobState.RUNNING, **runs)(now)), 1, MOVED),
    ],
    "what the overtaken worker says changes nothing while the move goes on": [
        BEGUN,
        Step(says("w1", 3, JobState.SUPERSEDED, first_frame=True), 1, MOVES),
        Step(says("w2", 4, JobState.RUNNING, **runs), 1, MOVED),
    ],
    "the other worker fails: its epoch stays spent, and the next try waits": [
        BEGUN,
        Step(says("w2", 4, JobState.FAILED, code=ErrorCode.NETWORK), 1, STILL),
        Step(nothing, 4.9, STILL),
        Step(nothing, 0.2, (P.INPROGRESS, "w1", 3, "w2", 5)),
        Step(says("w2", 5, JobState.REFUSED, code=ErrorCode.CODEC), 1, STILL),
        Step(nothing, 9.9, STILL),
        Step(nothing, 0.2, (P.INPROGRESS, "w1", 3, "w2", 6)),
        Step(says("w2", 6, JobState.RUNNING, **runs), 1, (P.INPROGRESS, "w2", 6, None, None)),
    ],
    "the other worker is gone": [BEGUN, Step(gone("w2"), 1, STILL), Step(nothing, 5.1, STILL)],
    "the other worker has restarted": [BEGUN, Step(w("w2", instance="another"), 1, STILL)],
    "the other worker is silent": [BEGUN, Step(w("w2", silent_for=10.0), 1, STILL)],
    "no first frame within startTimeout": [
        BEGUN,
        Step(nothing, 119, MOVES),
        Step(nothing, 1, STILL),
    ],
    "a move has its time again under a leader whose clock is ahead": [
        BEGUN,
        Step(lambda now: replace(now, led_since=now.now + 7200), 7200, MOVES),
        Step(nothing, 119, MOVES),
        Step(nothing, 1, STILL),
    ],
    "the other worker builds an engine": [
        BEGUN,
        Step(says("w2", 4, JobState.PREPARING), 1000, MOVES),
        Step(says("w2", 4, JobState.PREPARING), 800, STILL),
    ],
    "the job's own worker is gone: it starts where it was to be": [
        BEGUN,
        Step(gone("w1"), 1, (P.STARTING, "w2", 4, None, None)),
        Step(says("w2", 4, JobState.RUNNING, **runs), 1, MOVED),
    ],
    "the job's own worker is silent": [BEGUN, Step(w("w1", silent_for=11.0), 1, (P.STARTING, "w2", 4, None, None))],
    "both are gone": [BEGUN, Step(lambda now: gone("w2")(gone("w1")(now)), 1, (P.AWAITING, None, 3, None, None))],
    "overtaken by a worker that is gone before it was heard": [
        BEGUN,
        Step(says("w1", 3, JobState.SUPERSEDED, first_frame=True), 1, MOVES),
        Step(gone("w2"), 1, (P.AWAITING, None, 3, None, None)),
    ],
    "edited": [BEGUN, Step(edited(digest="d2"), 1, (P.STARTING, "w2", 5, None, None))],
    "disabled": [BEGUN, Step(edited(spec=job(enabled=False).spec), 1, (P.DISABLED, None, 3, None, None))],
    "shed": [BEGUN, Step(lambda now: replace(now, licence=Licence(0)), 1, (P.TOO_MANY_CAMERAS, None, 3, None, None))],
    "the source ends on its own worker": [
        BEGUN,
        Step(says("w1", 3, JobState.ENDED, first_frame=True), 0, (P.COMPLETED, None, 3, None, None)),
    ],
    "the source ended on the other worker": [
        BEGUN,
        Step(says("w2", 4, JobState.ENDED, first_frame=True), 0, (P.COMPLETED, None, 4, None, None)),
    ],
    "the clock is set back": [
        BEGUN,
        Step(says("w2", 4, JobState.FAILED, code=ErrorCode.NETWORK), 1, STILL),
        Step(nothing, -10_000, STILL),
        Step(nothing, 301, (P.INPROGRESS, "w1", 3, "w2", 5)),
    ],
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    now = snapshot([RUNS], [W1, W2])
    for number, step in enumerate(STORIES[name]):
        now = quiet(replace(step.change(now), now=now.now + step.after))
        assert seen(now.jobs["j1"].record) == step.expected, f"step {number}"


def quiet(now: Snapshot) -> Snapshot:
    for _ in range(8):
        made = plan(now)
        if not made.records:
            assert made.wake is None or made.wake > now.now
            return now
        now = applied(now, made.records)
    raise AssertionError("still writing after 8 plans")


def test_the_back_off_grows_to_its_limit() -> None:
    assert [retry_wait(failures) for failures in (1, 2, 3, 7, 1000)] == [5, 10, 20, 300, 300]


class TestWhoLeavesAndHow:
    def begins(self, of: Job = RUNS, mode: str = "makeBeforeBreak", **fields: Any) -> Record:
        now = snapshot(
            [of], [replace(W1, **({"drain": "is to be emptied"} | fields)), W2], [pool(drain={"mode": mode})]
        )
        return plan(now).records.get("j1", of.record)

    def test_a_stream_moves(self) -> None:
        assert self.begins().move == Move(assigned(W2), 4, NOW)

    def test_a_stream_stops_first_where_the_pool_says_so(self) -> None:
        after = self.begins(mode="stop")
        assert (after.phase, after.reason, after.move) == (P.AWAITING, Reason.DRAINING, None)

    @pytest.mark.parametrize(
        "before",
        [record(P.STARTING), record(P.INPROGRESS, reason=Reason.RECONNECTING)],
        ids=["starting", "reconnecting"],
    )
    def test_what_processes_no_frame_stops_first(self, before: Record) -> None:
        assert self.begins(replace(RUNS, record=before)).phase is P.AWAITING

    def test_but_only_when_there_is_room(self) -> None:
        before = replace(RUNS, record=record(P.STARTING))
        full = job("full", record(P.INPROGRESS, worker=assigned(W2)), slots=16)
        assert plan(snapshot([before, full], [replace(W1, drain="is to be emptied"), W2])).records == {}

    def test_nobody_moves_from_a_cordoned_node_and_nobody_comes(self) -> None:
        new = job("new")
        made = plan(snapshot([RUNS, new], [replace(W1, cordoned=True)]))
        assert "j1" not in made.records
        assert made.records["new"].phase is P.AWAITING

    def test_a_secret_that_cannot_be_read_keeps_the_stream_where_it_is(self) -> None:
        missing = replace(RUNS, digest=None, problem=Why(Reason.SECRET_MISSING, "gone"))
        assert self.begins(missing).move is None

    def test_the_newer_template_comes_first_and_an_older_one_before_nothing(self) -> None:
        old = replace(W2, outdated=True)
        draining = replace(W1, drain="has an older template", outdated=True)
        assert plan(snapshot([RUNS], [draining, old, W3])).records["j1"].move == Move(assigned(W3), 4, NOW)
        assert plan(snapshot([RUNS], [draining, old])).records["j1"].move == Move(assigned(W2), 4, NOW)

    def test_what_runs_and_has_to_leave_comes_before_what_waits(self) -> None:
        small = replace(W2, capacity=1)
        made = plan(snapshot([RUNS, job("new", priority=5)], [replace(W1, leaving=True), small]))
        assert made.records["j1"].move is not None
        assert made.records["new"].phase is P.AWAITING

    def test_a_move_needs_no_further_licence(self) -> None:
        licence = Licence(1, Why(Reason.LICENCE_INVALID, "it expired"))
        assert plan(snapshot([RUNS], [replace(W1, leaving=True), W2], licence=licence)).records["j1"].move is not None

    def test_both_workers_of_a_move_are_full_of_it(self) -> None:
        moving = job("m", record(P.INPROGRESS, worker=assigned(W1), move=Move(assigned(W2), 4, NOW), spent=4), slots=16)
        assert plan(snapshot([moving, job("new")], [W1, W2])).records["new"].phase is P.AWAITING


class TestLoweredCapacity:
    def jobs(self, count: int = 4) -> list[Job]:
        on_w1 = record(P.INPROGRESS, worker=assigned(W1))
        return [job(f"j{n}", on_w1, created=NOW - 100 + n, priority=int(n == count - 1)) for n in range(count)]

    def test_one_a_second_moves_the_newest_of_the_lowest_priority_first(self) -> None:
        now = snapshot(self.jobs(), [W1, W2], [pool(capacityPerWorker=2)])
        order = []
        for _ in range(4):
            made = plan(now)
            order.append(sorted(made.records))
            now = applied(now, made.records, after=0.5)
        assert order == [["j2"], [], ["j1"], []]
        assert {uid for uid, each in now.jobs.items() if each.record.move} == {"j1", "j2"}

    def test_it_stops_what_has_room_nowhere(self) -> None:
        now = snapshot(self.jobs(), [W1], [pool(capacityPerWorker=3)])
        made = plan(now)
        (gave_way,) = made.records.values()
        assert (gave_way.phase, gave_way.reason) == (P.AWAITING, Reason.SHED)
        assert gave_way.message == "worker w1 may hold 3 slots now, and this stream gave way"
        rests = applied(now, made.records)
        assert plan(rests).records == {}, "it waits for room, and that it gave way stays told"

    def test_it_looks_again_after_a_second(self) -> None:
        made = plan(snapshot(self.jobs(), [W1, W2], [pool(capacityPerWorker=2)]))
        assert made.wake == NOW + 1


def test_a_move_that_is_not_on_is_neither_ended_nor_taken() -> None:
    runs = record(P.INPROGRESS)
    for fact in (facts.MoveFailed(), facts.MoveTakesOver(), facts.FirstFrame(4, NOW)):
        assert advance(runs, fact, context(), NOW) is runs
