"""Ways to make a record: no field is forgotten on any of them."""

from dataclasses import fields

import pytest

from tests.support.domain import NOW, assigned, context, record, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.facts import Placed
from videofleet_operator.domain.model import Excluded, Failure, Move, Record, Why
from videofleet_operator.domain.records import ForbiddenEdgeError, changed, enter, start


def full() -> Record:
    """A lost job with a value of its own in each field."""
    before = record(
        Phase.DISCONNECTED,
        reason=Reason.WORKER_GONE,
        message="worker w1 is gone",
        move=Move(assigned(worker("w2")), 5, NOW - 3),
        spent=5,
        next_move=NOW - 1,
        attempt=2,
        suspicion=1,
        excluded=(Excluded("w3", "id-w3", "instance-w3"),),
        next_retry=NOW + 9,
        settings="s1",
        first_frame=NOW - 8,
        completed=NOW - 2,
        finished=True,
        last_error=Failure("TIMEOUT", "no answer", NOW - 90),
        restarts=4,
    )
    plain = Record()
    same = [each.name for each in fields(Record) if getattr(before, each.name) == getattr(plain, each.name)]
    assert not same, f"give these a value: {same}"
    return before


def test_a_start_changes_what_an_assignment_is_and_keeps_the_rest() -> None:
    before, given = full(), Placed(assigned(worker("w4")), "d2", "r2", "s2")
    assert start(before, given, 2, context(), NOW) == enter(
        before,
        Phase.STARTING,
        Why(Reason.ASSIGNED, "given to worker w4"),
        context(),
        NOW,
        run=2,
        epoch=6,
        restarts=5,
        worker=given.worker,
        move=None,
        next_move=None,
        spec_digest="d2",
        run_digest="r2",
        settings="s2",
        next_retry=None,
        first_frame=None,
        completed=None,
        finished=False,
    )


def test_nothing_starts_that_runs() -> None:
    with pytest.raises(ForbiddenEdgeError):
        start(record(Phase.INPROGRESS), Placed(assigned(), "d1"), 1, context(), NOW)


def test_a_changed_record_is_another_one() -> None:
    before = full()
    after = changed(before, attempt=3)
    assert (before.attempt, after.attempt) == (2, 3)
    assert changed(after, attempt=2) == before


def test_a_record_has_no_field_that_is_not_its_own() -> None:
    with pytest.raises(AttributeError):
        changed(full(), atempt=3)
