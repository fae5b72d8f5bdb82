"""Stories: what happens to a job, step by step, as a table of what is seen and the phases that follow."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.support.domain import applied, failed, job, report, snapshot, with_worker, worker
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import Phase, allowed
from videofleet_api.protocol import JobState
from videofleet_operator.domain.model import Licence, Record, Snapshot
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.reports import Report

P = Phase
Change = Callable[[Snapshot], Snapshot]


@dataclass(frozen=True)
class Step:
    """What happens, how long after, and the phases that are written until it is quiet again."""

    change: Change
    phases: list[Phase]
    reason: Reason | None = None
    after: float = 1.0


def says(state: JobState, **fields: Any) -> Change:
    """The job's worker reports this of the epoch that it has."""

    def change(now: Snapshot) -> Snapshot:
        record = now.jobs["j1"].record
        assert record.worker is not None, f"the story is wrong: nobody has the job in {record.phase}"
        return _reports(now, record.worker.id, report("j1", record.epoch, state, **fields))

    return change


def fails(code: ErrorCode, **fields: Any) -> Change:
    def change(now: Snapshot) -> Snapshot:
        record = now.jobs["j1"].record
        assert record.worker is not None
        return _reports(now, record.worker.id, failed(code, "j1", record.epoch, **fields))

    return change


def _reports(now: Snapshot, worker_id: str, said: Report) -> Snapshot:
    return with_worker(now, replace(now.workers[worker_id], reports={"j1": said}))


def w1(**fields: Any) -> Change:
    return lambda now: with_worker(now, replace(now.workers["id-w1"], **fields))


def gone(now: Snapshot) -> Snapshot:
    return replace(now, workers={key: each for key, each in now.workers.items() if key != "id-w1"})


def edited(**fields: Any) -> Change:
    def change(now: Snapshot) -> Snapshot:
        old = now.jobs["j1"]
        new = replace(old, generation=old.generation + 1, **fields)
        return replace(now, jobs={**now.jobs, "j1": new})

    return change


def respecified(**fields: Any) -> Change:
    return lambda now: edited(spec=job("j1", **fields).spec)(now)


def licensed(licence: Licence) -> Change:
    return lambda now: replace(now, licence=licence)


def nothing(now: Snapshot) -> Snapshot:
    return now


frame = says(JobState.RUNNING, first_frame=True, first_frame_time=1_800_000_000.5)
STARTED = [Step(nothing, [P.STARTING], Reason.ASSIGNED), Step(frame, [P.INPROGRESS], Reason.RUNNING)]
SINGLE = job(singlePass=True)
TWO = (worker("w1"), worker("w2"))

STORIES: dict[str, tuple[Snapshot, list[Step]]] = {
    "a recorded source is repeated": (
        snapshot([job()], [worker()]),
        [
            *STARTED,
            Step(says(JobState.ENDED, first_frame=True), [P.COMPLETED], Reason.ENDED),
            Step(nothing, [P.AWAITING, P.STARTING], Reason.ASSIGNED, after=1.0),
        ],
    ),
    "a start has its time again under a leader whose clock is ahead": (
        snapshot([job()], [worker()]),
        [
            Step(nothing, [P.STARTING], Reason.ASSIGNED),
            Step(lambda now: replace(now, led_since=now.now + 7200), [], after=7200),
            Step(nothing, [], after=119),
            Step(nothing, [P.NOT_STARTED], Reason.START_TIMEOUT, after=1),
        ],
    ),
    "a single pass ends": (
        snapshot([SINGLE], [worker()]),
        [
            *STARTED,
            Step(says(JobState.ENDED, first_frame=True), [P.COMPLETED], Reason.ENDED),
            Step(nothing, [], Reason.ENDED, after=10_000),
            Step(gone, [], Reason.ENDED),
            Step(edited(digest="d2"), [P.AWAITING], Reason.NO_READY_WORKER),
        ],
    ),
    "a single pass breaks": (
        snapshot([SINGLE], [worker()]),
        [
            *STARTED,
            Step(fails(ErrorCode.NETWORK), [P.INTERRUPTED], Reason.SOURCE_NETWORK),
            Step(nothing, [], Reason.SOURCE_NETWORK, after=10_000),
        ],
    ),
    "a camera is away and comes back": (
        snapshot([job()], [worker()]),
        [
            *STARTED,
            Step(says(JobState.RECONNECTING, first_frame=True, message="timed out"), [], Reason.RECONNECTING),
            Step(fails(ErrorCode.NETWORK, first_frame=True), [P.INTERRUPTED], Reason.SOURCE_NETWORK),
            Step(nothing, [], Reason.SOURCE_NETWORK, after=0.5),
            Step(nothing, [P.AWAITING, P.STARTING], Reason.ASSIGNED),
            Step(fails(ErrorCode.TIMEOUT), [P.NOT_STARTED], Reason.SOURCE_TIMEOUT),
            Step(nothing, [], Reason.SOURCE_TIMEOUT),
            Step(nothing, [P.STARTING], Reason.ASSIGNED, after=2),
            Step(frame, [P.INPROGRESS], Reason.RUNNING),
            Step(nothing, [], Reason.RUNNING, after=60),
        ],
    ),
    "a first frame and a failure between two plans": (
        snapshot([job()], [worker()]),
        [
            Step(nothing, [P.STARTING]),
            Step(fails(ErrorCode.STALLED, first_frame=True), [P.INPROGRESS, P.INTERRUPTED], Reason.SOURCE_STALLED),
        ],
    ),
    "an empty source": (
        snapshot([job()], [worker()]),
        [Step(nothing, [P.STARTING]), Step(says(JobState.ENDED), [P.NOT_STARTED], Reason.SOURCE_EMPTY)],
    ),
    "an unknown codec, then an edit": (
        snapshot([job()], [worker()]),
        [
            Step(nothing, [P.STARTING]),
            Step(says(JobState.REFUSED, code=ErrorCode.UNSUPPORTED), [P.MISCONFIGURED], Reason.SOURCE_UNSUPPORTED),
            Step(nothing, [], after=20),
            Step(nothing, [P.STARTING], after=15),
            Step(says(JobState.REFUSED, code=ErrorCode.UNSUPPORTED), [P.MISCONFIGURED]),
            Step(edited(digest="d2"), [P.AWAITING, P.STARTING], Reason.ASSIGNED),
        ],
    ),
    "the first frame is late": (
        snapshot([job()], [worker()]),
        [
            Step(nothing, [P.STARTING]),
            Step(nothing, [], after=118),
            Step(nothing, [P.NOT_STARTED], Reason.START_TIMEOUT, after=2),
        ],
    ),
    "an engine is built": (
        snapshot([job()], [worker()]),
        [
            Step(nothing, [P.STARTING]),
            Step(says(JobState.PREPARING), [], Reason.ASSIGNED, after=60),
            Step(nothing, [], Reason.PREPARING, after=60),
            Step(frame, [P.INPROGRESS], Reason.RUNNING, after=600),
        ],
    ),
    "an engine is never ready": (
        snapshot([job()], [worker()]),
        [
            Step(nothing, [P.STARTING]),
            Step(says(JobState.PREPARING), [], Reason.PREPARING, after=1799),
            Step(nothing, [P.NOT_STARTED], Reason.START_TIMEOUT),
        ],
    ),
    "the worker is silent for a while": (
        snapshot([job()], TWO),
        [
            *STARTED,
            Step(w1(silent_for=9.9), []),
            Step(w1(connected=False, silent_for=10.0), [P.DISCONNECTED], Reason.WORKER_SILENT),
            Step(w1(silent_for=30.0), [], after=20),
            Step(w1(connected=True, silent_for=0.1), [P.INPROGRESS], Reason.RUNNING),
        ],
    ),
    "the worker stays silent": (
        snapshot([job()], TWO),
        [
            *STARTED,
            Step(w1(connected=False, silent_for=10.0), [P.DISCONNECTED]),
            Step(w1(silent_for=39.0), [], after=29),
            Step(w1(silent_for=40.0), [P.STARTING], Reason.ASSIGNED),
        ],
    ),
    "the worker's pod is deleted": (
        snapshot([job()], TWO),
        [*STARTED, Step(gone, [P.DISCONNECTED, P.STARTING], Reason.ASSIGNED)],
    ),
    "the only worker's pod is deleted": (
        snapshot([job()], [worker()]),
        [*STARTED, Step(gone, [P.DISCONNECTED, P.AWAITING], Reason.NO_READY_WORKER)],
    ),
    "the pod is being deleted": (
        snapshot([job()], TWO),
        [
            *STARTED,
            Step(w1(leaving=True), []),
            Step(w1(connected=False), [P.DISCONNECTED, P.STARTING], Reason.ASSIGNED),
        ],
    ),
    "the worker's process crashes": (
        snapshot([job()], [worker()]),
        [*STARTED, Step(w1(instance="instance-2", reports={}), [P.DISCONNECTED, P.STARTING], Reason.ASSIGNED)],
    ),
    "the worker fills up, crashes, and takes the same again": (
        snapshot([job()], [worker(capacity=1)]),
        [*STARTED, Step(w1(instance="instance-2", reports={}), [P.DISCONNECTED, P.STARTING], Reason.ASSIGNED)],
    ),
    "the end is reported by a worker that came back": (
        snapshot([SINGLE], TWO),
        [
            *STARTED,
            Step(w1(connected=False, silent_for=20.0), [P.DISCONNECTED]),
            Step(w1(connected=True, silent_for=0.0), [P.INPROGRESS]),
            Step(w1(connected=False, silent_for=20.0), [P.DISCONNECTED]),
            Step(says(JobState.ENDED, first_frame=True), [P.COMPLETED], Reason.ENDED),
        ],
    ),
    "off and on": (
        snapshot([job()], [worker()]),
        [
            *STARTED,
            Step(respecified(enabled=False), [P.DISABLED], Reason.DISABLED),
            Step(nothing, [], after=1e6),
            Step(respecified(enabled=True), [P.AWAITING, P.STARTING], Reason.ASSIGNED),
        ],
    ),
    "never on": (snapshot([job(enabled=False)], [worker()]), [Step(nothing, [P.DISABLED], Reason.DISABLED)]),
    "a selector is edited": (
        snapshot([job()], [worker()]),
        [
            *STARTED,
            Step(
                respecified(workerSelector={"matchLabels": {"gpu": "h200"}}),
                [P.AWAITING],
                Reason.NO_MATCHING_POOL,
            ),
        ],
    ),
    "the licence is full, then has room": (
        snapshot([job()], [worker()], licence=Licence(0)),
        [
            Step(nothing, [P.TOO_MANY_CAMERAS], Reason.LICENCE_EXHAUSTED),
            Step(gone, [], Reason.LICENCE_EXHAUSTED),
            Step(licensed(Licence(1)), [P.AWAITING], Reason.NO_READY_WORKER),
        ],
    ),
    "the licence shrinks": (
        snapshot([job()], [worker()], licence=Licence(1)),
        [
            *STARTED,
            Step(licensed(Licence(0)), [P.TOO_MANY_CAMERAS], Reason.SHED),
            Step(licensed(Licence(1)), [P.STARTING], Reason.ASSIGNED),
        ],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    now, steps = STORIES[name]
    for number, step in enumerate(steps):
        now = replace(step.change(now), now=now.now + step.after)
        written: list[Phase] = []
        now = _until_quiet(now, written)
        assert written == step.phases, f"step {number}"
        if step.reason is not None:
            assert now.jobs["j1"].record.reason is step.reason, f"step {number}"


def _until_quiet(now: Snapshot, written: list[Phase]) -> Snapshot:
    for _ in range(8):
        made = plan(now)
        if not made.records:
            return now
        before, after = now.jobs["j1"].record, made.records["j1"]
        _check_write(before, after)
        if after.phase is not before.phase:
            written.append(after.phase)
        now = applied(now, made.records)
    raise AssertionError(f"never quiet: {written}")


def _check_write(before: Record, after: Record) -> None:
    assert allowed(before.phase, after.phase)
    assert after.epoch >= before.epoch
    assert after.transitions == before.transitions + (after.phase is not before.phase)
