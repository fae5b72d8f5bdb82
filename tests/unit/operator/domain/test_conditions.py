"""Conditions as kstatus reads them."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import NOW, job, record, snapshot, worker
from videofleet_api.codes import Reason
from videofleet_api.conditions import Condition
from videofleet_api.phases import Phase
from videofleet_operator.domain.alternatives import others_left
from videofleet_operator.domain.conditions import PoolState, conditions, licence_conditions, pool_conditions
from videofleet_operator.domain.model import Excluded, Record, Worker
from videofleet_operator.domain.times import format_time

P = Phase
ORDER = ("Ready", "Reconciling", "Stalled", "Scheduled", "Licensed", "Complete", "Failed", "SourceHealthy")


def letters(made: list[Condition]) -> str:
    """T, F or U for each condition, in their order."""
    return "".join(each.status[0] for each in made)


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        (Record(), "FTFFUFFU"),
        (record(P.AWAITING, reason=Reason.WORKERS_FULL), "FTFFUFFU"),
        (record(P.AWAITING, reason=Reason.SECRET_MISSING), "FTFFUFFU"),
        (record(P.AWAITING, reason=Reason.NEVER_FITS), "FFTFUFFU"),
        (record(P.AWAITING, reason=Reason.UNKNOWN_TIME_ZONE), "FFTFUFFU"),
        (record(P.AWAITING, reason=Reason.INVALID_SPEC), "FFTFUFFU"),
        (record(P.STARTING), "FTFTTFFU"),
        (record(P.INPROGRESS, reason=Reason.RUNNING), "TFFTTFFU"),
        (record(P.INPROGRESS, reason=Reason.RECONNECTING), "FTFTTFFU"),
        (record(P.DISCONNECTED), "FTFTTFFU"),
        (record(P.COMPLETED, finished=True), "TFFFUTFU"),
        (record(P.COMPLETED), "FTFFUFFU"),
        (record(P.INTERRUPTED, finished=True), "FFTFUFTU"),
        (record(P.INTERRUPTED, attempt=1), "FTFFUFFU"),
        (record(P.NOT_STARTED, attempt=1), "FTFFUFFU"),
        (record(P.NOT_STARTED, attempt=2), "FFTFUFTU"),
        (record(P.MISCONFIGURED, attempt=1), "FFTFUFFU"),
        (record(P.TOO_MANY_CAMERAS), "FTFFFFFU"),
        (record(P.DISABLED), "TFFFUFFU"),
    ],
    ids=lambda value: f"{value.phase}-{value.reason}" if isinstance(value, Record) else None,
)
def test_each_phase(it: Record, expected: str) -> None:
    made = conditions(it, job(restart={"maxAttempts": 2}), [], NOW)
    assert tuple(each.type for each in made) == ORDER
    assert letters(made) == expected
    assert all(each.reason for each in made)


def kstatus(made: list[Condition]) -> str:
    """As cli-utils' kstatus reads conditions, whose observed generation is the newest one."""
    held = {each.type for each in made if each.status == "True"}
    if "Stalled" in held:
        return "Failed"
    return "InProgress" if "Reconciling" in held or "Ready" not in held else "Current"


KSTATUS = {
    "AWAITING": (record(P.AWAITING), {}, "InProgress"),
    "STARTING": (record(P.STARTING), {}, "InProgress"),
    "INPROGRESS": (record(P.INPROGRESS, reason=Reason.RUNNING), {}, "Current"),
    "COMPLETED, single_pass": (record(P.COMPLETED, finished=True), {}, "Current"),
    "COMPLETED, restarting": (record(P.COMPLETED), {}, "InProgress"),
    "INTERRUPTED, restarting": (record(P.INTERRUPTED, attempt=1), {}, "InProgress"),
    "INTERRUPTED, single_pass": (record(P.INTERRUPTED, finished=True), {}, "Failed"),
    "MISCONFIGURED, others left": (record(P.MISCONFIGURED, attempt=1), {"others_left": True}, "InProgress"),
    "MISCONFIGURED, none left": (record(P.MISCONFIGURED, attempt=1), {}, "Failed"),
    "MISCONFIGURED, not tried again": (record(P.MISCONFIGURED, attempt=2), {"others_left": True}, "Failed"),
    "TOO_MANY_CAMERAS": (record(P.TOO_MANY_CAMERAS), {}, "InProgress"),
    "NOT_STARTED": (record(P.NOT_STARTED, attempt=1), {}, "InProgress"),
    "NOT_STARTED, final": (record(P.NOT_STARTED, attempt=2), {}, "Failed"),
    "DISCONNECTED": (record(P.DISCONNECTED), {}, "InProgress"),
    "no status yet": (Record(), {}, "InProgress"),
    "DISABLED": (record(P.DISABLED), {}, "Current"),
}


@pytest.mark.acceptance("X2")
@pytest.mark.parametrize("row", KSTATUS)
def test_kstatus_reads_each_row(row: str) -> None:
    it, more, expected = KSTATUS[row]
    assert kstatus(conditions(it, job(restart={"maxAttempts": 2}), [], NOW, **more)) == expected


def test_others_are_left_until_each_that_could_run_it_has_refused_it() -> None:
    refused = record(P.MISCONFIGURED, attempt=1, excluded=(excluded(worker("a")),))
    both = snapshot([], [worker("a"), worker("b")])
    assert others_left(job(), refused, both)
    assert not others_left(job(), refused, snapshot([], [worker("a")]))
    for unable in ({"connected": False}, {"steps": frozenset[str]()}, {"of": "default/other"}):
        assert not others_left(job(), refused, snapshot([], [worker("a"), worker("b", **unable)]))
    assert not others_left(job(), replace(refused, phase=P.NOT_STARTED), both)
    again = snapshot([], [worker("a", instance="another process"), worker("b")])
    three = replace(refused, excluded=tuple(excluded(worker(name)) for name in "acd"))
    assert others_left(job(), refused, again)
    assert not others_left(job(), three, both), "what three have refused is wrong in itself"


def excluded(failed: Worker) -> Excluded:
    return Excluded(failed.name, failed.id, failed.instance or "")


def test_exhausted_retries_have_their_own_reason() -> None:
    it = record(P.NOT_STARTED, attempt=2, reason=Reason.SOURCE_AUTH, message="wrong password")
    made = {each.type: each for each in conditions(it, job(restart={"maxAttempts": 2}), [], NOW)}
    assert made["Ready"].reason == "SourceAuth"
    for kind in ("Stalled", "Failed"):
        assert (made[kind].reason, made[kind].message) == ("RetriesExhausted", "wrong password")


def test_the_time_is_kept_while_only_words_change() -> None:
    first = conditions(record(P.AWAITING, reason=Reason.WORKERS_FULL), job(), [], NOW)
    second = conditions(record(P.STARTING, observed_generation=2), job(), first, NOW + 5)
    times = {each.type: each.last_transition_time for each in second}
    assert times == {
        "Ready": format_time(NOW),
        "Reconciling": format_time(NOW),
        "Stalled": format_time(NOW),
        "Scheduled": format_time(NOW + 5),
        "Licensed": format_time(NOW + 5),
        "Complete": format_time(NOW),
        "Failed": format_time(NOW),
        "SourceHealthy": format_time(NOW),
    }
    assert {each.observed_generation for each in second} == {2}


@pytest.mark.parametrize(("finished", "letter"), [(True, "T"), (False, "F")])
def test_only_a_single_pass_is_complete(finished: bool, letter: str) -> None:
    made = conditions(record(P.COMPLETED, finished=finished, reason=Reason.ENDED), job(), [], NOW)
    complete = next(each for each in made if each.type == "Complete")
    assert (complete.status[0], complete.reason) == (letter, "Ended")


@pytest.mark.parametrize(
    ("state", "expected", "reason", "message"),
    [
        ({"desired": 2, "ready": 2, "failed": 0}, "TFF", "WorkersReady", "2 of 2 workers are ready"),
        ({"desired": 0, "ready": 0, "failed": 0}, "TFF", "WorkersReady", "0 of 0 workers are ready"),
        (
            {"desired": 2, "ready": 1, "failed": 0, "problem": "no node has a free GPU"},
            "FTF",
            "WorkersStarting",
            "1 of 2 workers are ready: no node has a free GPU",
        ),
        (
            {"desired": 1, "ready": 0, "failed": 0, "problem": "ImagePullBackOff: no such image", "failing": True},
            "FTF",
            "WorkersFailing",
            "0 of 1 workers are ready: ImagePullBackOff: no such image",
        ),
        (
            {"desired": 1, "ready": 0, "failed": 1},
            "FTF",
            "WorkersFailing",
            "0 of 1 workers are ready (1 failed and are being replaced)",
        ),
        (
            {"desired": 1, "ready": 1, "failed": 0, "invalid": "spec.x is wrong"},
            "FFT",
            "InvalidSpec",
            "spec.x is wrong",
        ),
    ],
)
def test_a_pool(state: dict[str, Any], expected: str, reason: str, message: str) -> None:
    made = pool_conditions(PoolState(**state), 4, [], NOW)
    assert [each.type for each in made] == ["Ready", "Reconciling", "Stalled"]
    assert letters(made) == expected
    assert (made[0].reason, made[0].message, made[0].observed_generation) == (reason, message, 4)


def test_a_licence() -> None:
    (made,) = licence_conditions(False, "Expired", "it expired", 3, [], NOW)
    assert (made.type, made.status, made.reason, made.observed_generation) == ("Valid", "False", "Expired", 3)
