"""What is left to do in the archive for jobs that nothing runs any more."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.support.domain import NOW, job, pool, record, worker
from videofleet_api.codes import Reason
from videofleet_api.finalize import Finalize, NotedJob, NotedRun, Notes
from videofleet_api.phases import ASSIGNED, Phase
from videofleet_operator.domain.finalizing import (
    AT_ONCE,
    Due,
    after_change,
    after_look,
    archive_of,
    by_archive,
    choose,
    is_due,
    last_over,
)
from videofleet_operator.domain.model import Failure, Job, Record

DELETE = {"outputs": {"archive": {"deletionPolicy": "Delete"}}}
BROKEN = record(
    Phase.INTERRUPTED, finished=True, completed=NOW, last_error=Failure("NETWORK", "the camera is away", NOW), spent=5
)
GIVEN_UP = record(Phase.NOT_STARTED, attempt=2, completed=NOW, last_error=Failure("CODEC", "no such codec", NOW))
RUNS = record(Phase.INPROGRESS)
DONE = record(Phase.COMPLETED, completed=NOW, finished=True)
BUCKET = {"bucket": "results", "credentialsSecretRef": {"name": "login"}}


def noted(*runs: int, deletes: bool = False, uid: str = "j1", namespace: str = "default") -> Notes:
    return Notes(
        runs=[NotedRun(namespace=namespace, uid=uid, run=run) for run in runs],
        deleted=[NotedJob(namespace=namespace, uid=uid)] if deletes else [],
    )


def told(notes: Notes, *jobs: Job) -> list[Finalize]:
    return after_look(notes, {each.uid: each for each in jobs}, lambda namespace: namespace == "default")


def brief(wanted: Finalize) -> list[tuple[int, int | None, str]]:
    return [(end.run, end.epoch, end.reason) for end in wanted.ends]


@pytest.mark.parametrize("phase", list(Phase))
def test_a_run_is_over_where_the_status_says_so_and_nobody_has_it(phase: Phase) -> None:
    assert last_over(record(phase, run=3)) == 2
    assert last_over(record(phase, run=3, completed=NOW)) == (2 if phase in ASSIGNED else 3)


def test_a_job_that_never_ran_leaves_nothing() -> None:
    assert last_over(Record()) == 0
    assert not is_due(job("j1"), None)


CHANGES = {
    "nothing happened": (RUNS, RUNS, {}, None),
    "it began": (record(Phase.STARTING), RUNS, {}, None),
    "an attempt failed and another follows": (RUNS, record(Phase.INTERRUPTED, next_retry=NOW), {}, None),
    "its worker was lost": (RUNS, record(Phase.DISCONNECTED), {}, None),
    "a user disabled it, and may enable it": (RUNS, record(Phase.DISABLED), {}, None),
    "it came to its end": (RUNS, DONE, {"singlePass": True}, None),
    "it is repeated": (record(Phase.COMPLETED, completed=NOW), record(Phase.STARTING, run=2), {}, None),
    "its one pass broke off": (RUNS, BROKEN, {"singlePass": True}, [(1, 5, "error")]),
    "its attempts are used up": (record(Phase.STARTING), GIVEN_UP, {"restart": {"maxAttempts": 2}}, [(1, 3, "error")]),
    "its source was edited": (RUNS, record(Phase.AWAITING, completed=NOW), {}, [(1, 3, "cancelled")]),
    "that, and it runs again already": (RUNS, record(Phase.STARTING, run=2, epoch=4), {}, [(1, None, "cancelled")]),
    "it was deleted while it ran": (RUNS, None, {}, [(1, 3, "cancelled")]),
    "it was deleted while it waited": (record(Phase.AWAITING), None, {}, [(1, 3, "cancelled")]),
    "it was deleted and had ended": (DONE, None, {"singlePass": True}, None),
    "the same, and its results go": (DONE, None, {"singlePass": True} | DELETE, []),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_change_leaves_to_do(name: str) -> None:
    before, after, fields, expected = CHANGES[name]
    old, new = job("j1", before, **fields), None if after is None else job("j1", after, **fields)
    assert is_due(old, new) is (expected is not None)
    if expected is not None:
        wanted = after_change(old, new)
        assert brief(wanted) == expected
        assert wanted.gone is (new is None)
        assert wanted.deletion == ("Delete" if fields.items() >= DELETE.items() else "Retain")


def test_an_error_is_told_and_what_nobody_noted_is_named() -> None:
    (end,) = after_change(job("j1", RUNS, singlePass=True), job("j1", BROKEN, singlePass=True)).ends
    assert (end.code, end.message, end.analytics) == ("NETWORK", "the camera is away", ["main"])
    unkept = {"singlePass": True, "outputs": {"archive": {"enabled": False}}}
    (end,) = after_change(job("j1", RUNS, **unkept), job("j1", BROKEN, **unkept)).ends
    assert end.analytics == []


def test_of_a_crash_the_status_tells() -> None:
    crashed = record(
        Phase.INTERRUPTED, reason=Reason.SUSPECTED_CRASH, message="three crashed", suspicion=3, completed=NOW
    )
    (end,) = after_change(job("j1", RUNS), job("j1", crashed)).ends
    assert (end.reason, end.code, end.message) == ("error", "INTERNAL", "three crashed")


def test_another_policy_is_noted_whether_or_not_the_job_runs() -> None:
    for state in (RUNS, DONE):
        before, after = job("j1", state), job("j1", state, **DELETE)
        assert is_due(before, after)
        assert (after_change(before, after).deletion, after_change(before, after).ends) == ("Delete", [])
        assert after_change(after, before).deletion == "Retain"
    assert not is_due(job("j1"), job("j1", **DELETE)), "it has no results, and its worker will note it"


LOOKS = {
    "it runs": (noted(1), RUNS, {}, None),
    "it may be tried again": (noted(1), record(Phase.INTERRUPTED), {}, None),
    "its end was not heard of": (noted(1), BROKEN, {"singlePass": True}, [(1, 5, "error")]),
    "an earlier run has no end": (noted(1, 2), record(Phase.INPROGRESS, run=2), {}, [(1, None, "cancelled")]),
    "its worker did not live to note the end": (noted(1), DONE, {"singlePass": True}, [(1, 3, "cancelled")]),
    "its policy is noted": (noted(1, deletes=True), RUNS, DELETE, None),
    "its policy is not noted": (noted(1), RUNS, DELETE, []),
    "another one is noted": (noted(deletes=True), DONE, {}, []),
}


@pytest.mark.parametrize("name", LOOKS)
def test_what_notes_of_a_job_that_is_there_leave_to_do(name: str) -> None:
    notes, state, fields, expected = LOOKS[name]
    found = told(notes, job("j1", state, **fields))
    assert [brief(each) for each in found] == ([] if expected is None else [expected])
    assert not any(each.gone for each in found)


def test_what_notes_of_a_job_that_is_gone_leave_to_do() -> None:
    (ended,) = told(noted(2, 1))
    assert (ended.gone, ended.deletion, brief(ended)) == (True, None, [(1, None, "cancelled"), (2, None, "cancelled")])
    (removed,) = told(noted(deletes=True))
    assert (removed.gone, removed.deletion, removed.ends) == (True, None, [])


def test_jobs_of_namespaces_that_are_not_watched_are_nobodys_to_judge() -> None:
    assert told(noted(1, deletes=True, namespace="elsewhere")) == []


def test_what_asks_for_the_same_has_the_same_name() -> None:
    keys = [told(noted(*runs, deletes=deletes))[0].key for runs in ((1,), (1,), (2,)) for deletes in (True, False)]
    assert len(set(keys)) == 2
    assert len({each.key for each in (*told(noted(1)), after_change(job("j1", RUNS), None))}) == 2


def test_workers_reach_an_archive_by_their_pool() -> None:
    pools = {
        "default/p": pool("p", archive={"claimName": "results"}),
        "default/q": pool("q", archive={"claimName": "results"}),
        "default/s": pool("s", archive={"s3": BUCKET}),
        "default/own": pool("own"),
    }
    assert archive_of(pools["default/p"]) == archive_of(pools["default/q"])
    assert archive_of(pools["default/own"]) is None
    assert archive_of(pool("p", namespace="other", archive={"claimName": "results"})) != archive_of(pools["default/p"])
    workers = [worker("a"), worker("b", of="default/q"), worker("c", of="default/s"), worker("d", of="default/own")]
    silent = worker("e", connected=False)
    able = by_archive(pools, [*workers, silent])
    assert sorted(sorted(each) for each in able.values()) == [["id-a", "id-b"], ["id-c"]]


def test_it_goes_to_who_wrote_there_last_and_stays_where_it_is() -> None:
    archive = ("claim", "default", "results")
    wanted = told(noted(1))[0]
    able = {archive: {each.id: each for each in (worker("a"), worker("b"))}}
    busy = Counter({"id-a": 0, "id-b": 3})
    assert choose(Due(wanted, archive, "id-b"), None, able, busy) == "id-b"
    assert choose(Due(wanted, archive, "id-b"), "id-a", able, busy) == "id-a"
    assert choose(Due(wanted, archive, "gone"), "gone", able, busy) == "id-a"
    assert choose(Due(wanted, ("claim", "default", "other")), None, able, busy) is None
    assert choose(Due(wanted, archive), None, able, Counter({"id-a": AT_ONCE, "id-b": AT_ONCE})) is None


def test_a_move_may_have_written_last() -> None:
    moved = replace(RUNS, spent=7)
    assert brief(after_change(job("j1", moved), None)) == [(1, 7, "cancelled")]
