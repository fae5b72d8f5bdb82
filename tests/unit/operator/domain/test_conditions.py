"""Conditions as kstatus reads them."""

from typing import Any

import pytest

from tests.support.domain import NOW, job, record
from videofleet_api.codes import Reason
from videofleet_api.conditions import Condition
from videofleet_api.phases import Phase
from videofleet_operator.domain.conditions import PoolState, conditions, licence_conditions, pool_conditions
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.times import format_time

P = Phase
ORDER = ("Ready", "Reconciling", "Stalled", "Scheduled")


def letters(made: list[Condition]) -> str:
    """T or F for each condition, in their order."""
    return "".join(each.status[0] for each in made)


@pytest.mark.parametrize(
    ("it", "expected"),
    [
        (Record(), "FTFF"),
        (record(P.AWAITING, reason=Reason.WORKERS_FULL), "FTFF"),
        (record(P.AWAITING, reason=Reason.SECRET_MISSING), "FTFF"),
        (record(P.AWAITING, reason=Reason.NEVER_FITS), "FFTF"),
        (record(P.AWAITING, reason=Reason.INVALID_SPEC), "FFTF"),
        (record(P.STARTING), "FTFT"),
        (record(P.INPROGRESS, reason=Reason.RUNNING), "TFFT"),
        (record(P.INPROGRESS, reason=Reason.RECONNECTING), "FTFT"),
        (record(P.DISCONNECTED), "FTFT"),
        (record(P.COMPLETED, finished=True), "TFFF"),
        (record(P.COMPLETED), "FTFF"),
        (record(P.INTERRUPTED, finished=True), "FFTF"),
        (record(P.INTERRUPTED, attempt=1), "FTFF"),
        (record(P.NOT_STARTED, attempt=1), "FTFF"),
        (record(P.NOT_STARTED, attempt=2), "FFTF"),
        (record(P.MISCONFIGURED, attempt=1), "FFTF"),
        (record(P.TOO_MANY_CAMERAS), "FTFF"),
        (record(P.DISABLED), "TFFF"),
    ],
    ids=lambda value: f"{value.phase}-{value.reason}" if isinstance(value, Record) else None,
)
def test_each_phase(it: Record, expected: str) -> None:
    made = conditions(it, job(restart={"maxAttempts": 2}), [], NOW)
    assert tuple(each.type for each in made) == ORDER
    assert letters(made) == expected
    assert all(each.reason for each in made)


def test_exhausted_retries_have_their_own_reason() -> None:
    it = record(P.NOT_STARTED, attempt=2, reason=Reason.SOURCE_AUTH, message="wrong password")
    ready, _, stalled, _ = conditions(it, job(restart={"maxAttempts": 2}), [], NOW)
    assert (ready.reason, stalled.reason, stalled.message) == ("SourceAuth", "RetriesExhausted", "wrong password")


def test_the_time_is_kept_while_only_words_change() -> None:
    first = conditions(record(P.AWAITING, reason=Reason.WORKERS_FULL), job(), [], NOW)
    second = conditions(record(P.STARTING, observed_generation=2), job(), first, NOW + 5)
    times = {each.type: each.last_transition_time for each in second}
    assert times == {
        "Ready": format_time(NOW),
        "Reconciling": format_time(NOW),
        "Stalled": format_time(NOW),
        "Scheduled": format_time(NOW + 5),
    }
    assert {each.observed_generation for each in second} == {2}


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
