"""When a job that is over is deleted."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import NOW, job, record, settled, snapshot, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.expiry import expires_at
from videofleet_operator.domain.model import Job, Record, Why
from videofleet_operator.domain.planner import plan

P = Phase
READING = Why(Reason.PENDING, "reading Secret login")


def over(phase: Phase = P.COMPLETED, **fields: Any) -> Job:
    """A single pass that has been over for ten seconds, to be deleted after a minute."""
    given = {"ttlSecondsAfterFinished": 60, "singlePass": True, **fields}
    return job("j1", record(phase, finished=True, completed=NOW - 10), **given)


def failing(attempt: int, **fields: Any) -> Job:
    given = {"ttlSecondsAfterFinished": 60, "restart": {"maxAttempts": 2}, **fields}
    return job("j1", record(P.NOT_STARTED, attempt=attempt), **given)


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        (over(), NOW + 50),
        (over(P.INTERRUPTED), NOW + 50),
        (over(ttlSecondsAfterFinished=0), NOW - 10),
        (over(ttlSecondsAfterFinished=None), None),
        (over(generation=2), None),
        (over(enabled=False), None),
        (over(problem=READING, digest=None), None),
        (over(problem=Why(Reason.SECRET_MISSING, "create it"), digest=None), NOW + 50),
        (failing(2), NOW + 50),
        (failing(1), None),
        (job("j1", record(P.COMPLETED), ttlSecondsAfterFinished=60), None),
        (job("j1", record(P.INPROGRESS), ttlSecondsAfterFinished=60), None),
    ],
)
def test_when_it_is_deleted(it: Job, expected: float | None) -> None:
    assert expires_at(it, it.record) == expected


def test_the_plan_sleeps_until_then_and_deletes() -> None:
    waiting = plan(snapshot([over()], [worker()]))
    assert (waiting.expired, waiting.wake) == ((), NOW + 50)
    assert plan(snapshot([over()], [worker()], now=NOW + 50)).expired == ("j1",)


@pytest.mark.parametrize(
    "edit", [{"digest": "d2", "generation": 2}, {"generation": 2, "ttlSecondsAfterFinished": 600}, {"enabled": False}]
)
def test_an_edit_cancels_it(edit: dict[str, Any]) -> None:
    late = snapshot([over(**edit)], [worker()], now=NOW + 50)
    quiet, plans = settled(late)
    assert all(made.expired == () for made in (*plans, plan(quiet)))


def test_a_clock_that_went_back_delays_it_by_its_time_at_most() -> None:
    ahead = replace(over(), record=replace(over().record, since=NOW + 10_000))
    mended: Record = plan(snapshot([ahead])).records["j1"]
    assert expires_at(ahead, mended) == NOW + 60
