"""Whose receivers are told by somebody else what the worker of their job could not."""

from dataclasses import replace

import pytest

from tests.support.domain import NOW, assigned, job, record, worker
from videofleet_api.finalize import Finalize, Notes, Untold
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.finalizing import after_look, is_told_by_another, teller
from videofleet_operator.domain.model import Job

DONE = record(Phase.COMPLETED, completed=NOW, finished=True)


def untold(run: int = 1, epoch: int = 3, by: str = "instance-a", uid: str = "j1", namespace: str = "default") -> Untold:
    return Untold(namespace=namespace, uid=uid, run=run, epoch=epoch, worker=by)


def found(*noted: Untold, jobs: tuple[Job, ...] = ()) -> list[Finalize]:
    known = {each.uid: each for each in jobs}
    return after_look(Notes(untold=list(noted)), known, lambda namespace: namespace == "default")


@pytest.mark.parametrize("phase", list(Phase))
def test_a_run_that_a_worker_has_is_its_own_to_tell(phase: Phase) -> None:
    now = job("j1", record(phase, run=2))
    told = [[each.run for each in wanted.untold] for wanted in found(untold(1), untold(2), jobs=(now,))]
    assert told == [[1] if phase in ASSIGNED else [1, 2]]


def test_all_notes_of_a_job_are_one_thing_to_do_and_nothing_else_of_it_is() -> None:
    first, second = untold(1, 2, "instance-x"), untold(1, 3)
    (wanted,) = found(first, second, jobs=(job("j1", DONE),))
    assert (wanted.untold, wanted.name, wanted.gone) == ([first, second], "j1", False)
    assert (wanted.ends, wanted.deletion) == ([], None)
    both = found(untold(uid="j2"), first, jobs=(job("j1", DONE), job("j2", DONE)))
    assert [each.uid for each in both] == ["j1", "j2"]


def test_what_was_noted_since_is_another_thing_to_do() -> None:
    keys = {each.key for noted in ((untold(),), (untold(),), (untold(), untold(epoch=4))) for each in found(*noted)}
    assert len(keys) == 2


def test_receivers_of_a_job_that_is_gone_are_nobody() -> None:
    (wanted,) = found(untold())
    assert wanted.gone
    assert not wanted.outputs.webhooks
    assert wanted.untold == [untold()]


def test_jobs_of_namespaces_that_are_not_watched_are_nobodys_to_judge() -> None:
    assert found(untold(namespace="elsewhere")) == []


def test_who_begins_with_the_run_tells_the_rest_of_it() -> None:
    (wanted,) = found(untold(), jobs=(job("j1", DONE),))
    assert not is_told_by_another(wanted, job("j1", DONE))
    assert is_told_by_another(wanted, job("j1", record(Phase.STARTING)))
    assert not is_told_by_another(wanted, job("j1", record(Phase.STARTING, run=2)))


def test_who_may_be_telling_already_is_asked_first() -> None:
    a, b = worker("a"), worker("b")
    (wanted,) = found(untold(epoch=3, by="instance-b"), untold(epoch=2, by="instance-a"), jobs=(job("j1", DONE),))
    assert teller(wanted, job("j1", DONE), [a, b]) == "id-b"
    assert teller(wanted, job("j1", DONE), [a, replace(b, instance="instance-after")]) is None
    again = job("j1", record(Phase.INPROGRESS, run=2, worker=assigned(a)))
    assert teller(wanted, again, [a, b]) == "id-a", "who has the next run looks back at this one"
    assert teller(wanted, None, [a, b]) == "id-b"
