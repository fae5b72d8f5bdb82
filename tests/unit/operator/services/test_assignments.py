"""What each worker should run."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.support.domain import NOW, assigned, job, record, worker
from videofleet_api.phases import Phase
from videofleet_api.protocol import JobSource, JobSpec
from videofleet_api.steps import Analytics, Step
from videofleet_operator.domain.model import Job, Move
from videofleet_operator.services.assignments import Assignments
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.objects import JobObject, Meta
from videofleet_operator.services.specs import Shape
from videofleet_operator.services.wanted import Wanted

SPEC = JobSpec(source=JobSource(url="rtsp://camera/1"), analytics=[Analytics(steps=[Step(model="detect")])])


def known(of: Job, payload: JobSpec | None = SPEC) -> KnownJob:
    meta = Meta(of.uid, of.namespace, of.name, "1", 1, of.created, False)
    return KnownJob(JobObject(meta, Shape(of.spec), None, of.record, b""), (), of, lambda _: payload)


def given(jobs: list[KnownJob]) -> Mapping[str, Mapping[str, Wanted]]:
    return Assignments().follow({each.job.uid: each for each in jobs})


@pytest.mark.parametrize("phase", list(Phase))
def test_a_job_is_given_out_while_it_is_on_a_worker(phase: Phase) -> None:
    found = given([known(job("j1", record(phase)))])
    if phase not in (Phase.STARTING, Phase.INPROGRESS, Phase.DISCONNECTED):
        assert found == {}
        return
    item = found["id-w1"]["j1"]
    assert (item.epoch, item.run, item.digest, item.instance) == (3, 1, "d1", "instance-w1")
    entry = item.entry("j1", with_spec=True)
    assert (entry.namespace, entry.name, entry.epoch, entry.digest) == ("default", "j1", 3, "d1")
    assert entry.spec == SPEC
    assert item.entry("j1", with_spec=False).spec is None


def test_jobs_are_sorted_by_their_workers() -> None:
    two = record(Phase.INPROGRESS, worker=assigned(worker("w2")))
    found = given([known(job("a", record(Phase.STARTING))), known(job("b", two)), known(job("c", two))])
    assert {uid: sorted(jobs) for uid, jobs in found.items()} == {"id-w1": ["a"], "id-w2": ["b", "c"]}


def test_both_workers_of_a_move_have_the_job_and_know_which_they_are() -> None:
    moving = replace(record(Phase.INPROGRESS), move=Move(assigned(worker("w2")), 4, NOW))
    found = given([known(job("j1", moving))])
    entries = {worker: item["j1"].entry("j1", with_spec=False) for worker, item in found.items()}
    assert {worker: (each.epoch, each.takes_over, each.leaves) for worker, each in entries.items()} == {
        "id-w1": (3, False, True),
        "id-w2": (4, True, False),
    }
    before = given([known(job("j1", record(Phase.INPROGRESS)))])["id-w1"]["j1"]
    assert before.identity != found["id-w1"]["j1"].identity, "its worker is told"


def test_without_its_secret_a_job_stays_with_what_it_has() -> None:
    lost = replace(job("j1", record(Phase.INPROGRESS)), digest=None)
    item = given([known(lost, None)])["id-w1"]["j1"]
    assert (item.given, item.digest) == (None, "d1")


def test_an_edit_that_is_not_acknowledged_yet_is_not_given_out() -> None:
    edited = replace(job("j1", record(Phase.INPROGRESS)), digest="d2")
    item = given([known(edited)])["id-w1"]["j1"]
    assert (item.given, item.digest) == (None, "d1")


def test_what_has_not_changed_is_given_as_the_same_object() -> None:
    there = {uid: known(job(uid, record(Phase.INPROGRESS, worker=assigned(worker(f"w-{uid}"))))) for uid in "abc"}
    assignments = Assignments()
    first = dict(assignments.follow(there))
    moved = known(job("a", record(Phase.INPROGRESS, worker=assigned(worker("w-b")))))
    second = assignments.follow({"a": moved, "b": there["b"], "c": there["c"]})
    assert {uid: sorted(jobs) for uid, jobs in second.items()} == {"id-w-b": ["a", "b"], "id-w-c": ["c"]}
    assert second["id-w-c"] is first["id-w-c"]
    assert sorted(first["id-w-b"]) == ["b"], "who was given it may still look at it"
    assert assignments.follow({}) == {}
