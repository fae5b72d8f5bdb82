"""What a set of assignments changes."""

import pytest

from videofleet_api.protocol import AssignmentConflict, AssignmentSet, Entry, JobSpec
from videofleet_worker.jobs.assignments import Assignments, Change, apply

INSTANCE = "me"
SPEC = JobSpec.model_validate({"source": {"url": "http://host/a.mp4"}, "analytics": []})


def _entry(uid: str, epoch: int = 1, *, digest: str = "d1", settings: str = "s1", spec: JobSpec | None = SPEC) -> Entry:
    return Entry(
        uid=uid, namespace="default", name=uid, run=1, epoch=epoch, digest=digest, settings=settings, spec=spec
    )


def _set(*entries: Entry, term: int = 1, number: int = 1, instance: str = INSTANCE) -> AssignmentSet:
    return AssignmentSet(term=term, number=number, instance=instance, entries=list(entries))


def _apply(current: Assignments, wanted: AssignmentSet) -> Change:
    change = apply(current, wanted)
    assert isinstance(change, Change)
    return change


def _running(*entries: Entry) -> Assignments:
    return _apply(Assignments(INSTANCE), _set(*entries)).assignments


def _brief(change: Change) -> tuple[list[tuple[str, int]], list[tuple[str, int]], tuple[str, ...]]:
    stop = [(job.uid, job.epoch) for job in change.stop]
    start = [(job.uid, job.epoch) for job in change.start]
    return stop, start, change.need


def test_new_jobs_start() -> None:
    change = _apply(Assignments(INSTANCE), _set(_entry("a"), _entry("b")))
    assert _brief(change) == ([], [("a", 1), ("b", 1)], ())


def test_the_same_set_again_changes_nothing() -> None:
    wanted = _set(_entry("a"))
    assert _brief(_apply(_running(_entry("a")), wanted)) == ([], [], ())


def test_what_a_set_omits_stops() -> None:
    assert _brief(_apply(_running(_entry("a"), _entry("b")), _set(_entry("b"), number=2))) == ([("a", 1)], [], ())


OTHER = SPEC.model_copy(update={"archive_max_bytes": 1})


def test_new_settings_are_for_the_job_that_runs() -> None:
    change = _apply(_running(_entry("a"), _entry("b")), _set(_entry("a", settings="s2", spec=OTHER), _entry("b")))
    assert _brief(change) == ([], [], ())
    assert [(job.uid, job.epoch, job.spec) for job in change.adapt] == [("a", 1, OTHER)]
    again = _apply(change.assignments, _set(_entry("a", settings="s2", spec=None), _entry("b"), number=2))
    assert (again.adapt, again.need) == ((), ())


def test_a_job_that_is_about_to_leave_is_told_so_and_goes_on() -> None:
    leaving = _entry("a", spec=None).model_copy(update={"leaves": True})
    change = _apply(_running(_entry("a"), _entry("b")), _set(leaving, _entry("b"), number=2))
    assert _brief(change) == ([], [], ())
    assert [(job.uid, job.entry.leaves, job.spec) for job in change.adapt] == [("a", True, SPEC)]
    again = _apply(change.assignments, _set(leaving, _entry("b"), number=3))
    assert again.adapt == ()
    stays = _apply(again.assignments, _set(_entry("a", spec=None), _entry("b"), number=4))
    assert [job.entry.leaves for job in stays.adapt] == [False]


def test_new_settings_whose_spec_is_missing_are_asked_for() -> None:
    before = _running(_entry("a"))
    change = _apply(before, _set(_entry("a", settings="s2", spec=None), number=2))
    assert (_brief(change), change.adapt) == (([], [], ("a",)), ())
    assert change.assignments.jobs == before.jobs, "it goes on as it was"


def test_another_epoch_with_other_settings_starts_with_them() -> None:
    change = _apply(_running(_entry("a")), _set(_entry("a", 2, settings="s2", spec=OTHER), number=2))
    assert (_brief(change), change.adapt) == (([("a", 1)], [("a", 2)], ()), ())
    lacking = _apply(_running(_entry("a")), _set(_entry("a", 2, settings="s2", spec=None), number=2))
    assert _brief(lacking) == ([("a", 1)], [], ("a",))


def test_another_epoch_stops_the_old_one_and_starts_anew() -> None:
    change = _apply(_running(_entry("a")), _set(_entry("a", 2, digest="d2"), number=2))
    assert _brief(change) == ([("a", 1)], [("a", 2)], ())


def test_an_entry_without_spec_keeps_the_job() -> None:
    change = _apply(_running(_entry("a")), _set(_entry("a", spec=None), number=2))
    assert _brief(change) == ([], [], ())
    assert change.assignments.jobs["a"].spec == SPEC


def test_another_epoch_of_a_known_spec_needs_no_spec() -> None:
    change = _apply(_running(_entry("a")), _set(_entry("a", 2, spec=None), number=2))
    assert _brief(change) == ([("a", 1)], [("a", 2)], ())
    assert change.start[0].spec == SPEC


def test_an_unknown_job_without_spec_is_needed() -> None:
    change = _apply(Assignments(INSTANCE), _set(_entry("a", spec=None), _entry("b")))
    assert _brief(change) == ([], [("b", 1)], ("a",))


def test_another_epoch_of_another_spec_stops_the_old_one_and_is_needed() -> None:
    change = _apply(_running(_entry("a")), _set(_entry("a", 2, digest="d2", spec=None), number=2))
    assert _brief(change) == ([("a", 1)], [], ("a",))


def test_a_needed_spec_that_comes_starts_the_job() -> None:
    first = _apply(Assignments(INSTANCE), _set(_entry("a", spec=None)))
    assert _brief(_apply(first.assignments, _set(_entry("a"), number=2))) == ([], [("a", 1)], ())


@pytest.mark.parametrize(
    ("term", "number"), [(3, 6), (2, 99)], ids=["lower number of the same term", "lower term, higher number"]
)
def test_an_older_set_is_refused(term: int, number: int) -> None:
    current = _apply(Assignments(INSTANCE), _set(_entry("a"), term=3, number=7)).assignments
    answer = apply(current, _set(term=term, number=number))
    assert isinstance(answer, AssignmentConflict)
    assert (answer.term, answer.number, answer.instance) == (3, 7, INSTANCE)
    assert f"{term}.{number}" in answer.message


def test_a_higher_term_counts_from_a_lower_number() -> None:
    current = _apply(Assignments(INSTANCE), _set(_entry("a"), term=3, number=7)).assignments
    assert _brief(_apply(current, _set(term=4, number=1))) == ([("a", 1)], [], ())


def test_a_set_for_another_instance_is_refused_however_new() -> None:
    answer = apply(_running(_entry("a")), _set(term=9, number=9, instance="the one before"))
    assert isinstance(answer, AssignmentConflict)
    assert "the one before" in answer.message
