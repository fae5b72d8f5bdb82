"""What is told of the receivers of a job's results."""

from typing import Any

import pytest

from tests.support.domain import NOW, job, record, report
from videofleet_api.codes import OutputHealth, Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.outputs import CONDITION, outputs_due, posted_due
from videofleet_operator.domain.reports import Counters, Report
from videofleet_operator.domain.status import Shown, to_status

RUNNING = record(Phase.INPROGRESS, reason=Reason.RUNNING)
ENDED = record(Phase.COMPLETED, reason=Reason.ENDED, finished=True)
WEBHOOK: dict[str, Any] = {"webhooks": [{"url": "https://hooks.example/"}]}


def told(health: OutputHealth | None, message: str = "") -> Report:
    return report(progress=Counters(outputs=health, outputs_message=message))


WELL = told(OutputHealth.DELIVERED, "receivers take what they are sent")
AWAY = told(OutputHealth.WAITING, "webhook-0: it answered 503")
LOST = told(OutputHealth.GIVEN_UP, "webhook-0: it was not delivered in time")


def written(
    said: Report | None, previous: object = None, *, outputs: dict[str, Any] = WEBHOOK, it: Any = RUNNING
) -> Any:
    return to_status(job(outputs=outputs), it, Shown.of(None, said), previous, NOW)


def condition(status: Any) -> tuple[str, str, str] | None:
    found = [each for each in status["conditions"] if each["type"] == CONDITION]
    return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(WELL, ("True", "Delivered", "receivers take what they are sent"), id="well"),
        pytest.param(AWAY, ("False", "Waiting", "webhook-0: it answered 503"), id="away"),
        pytest.param(LOST, ("False", "GivenUp", "webhook-0: it was not delivered in time"), id="given up"),
        pytest.param(told(None), None, id="a worker that says nothing of it"),
        pytest.param(None, None, id="nothing heard"),
    ],
)
def test_what_the_condition_says(said: Report | None, expected: tuple[str, str, str] | None) -> None:
    assert condition(written(said)) == expected


def test_a_job_without_receivers_has_no_such_condition() -> None:
    assert condition(written(WELL, outputs={})) is None
    assert condition(written(None, written(AWAY), outputs={})) is None


def test_what_was_known_stays_also_when_the_job_is_over() -> None:
    away = written(AWAY)
    assert condition(written(None, away)) == condition(away)
    assert condition(written(None, away, it=ENDED)) == condition(away)
    assert condition(written(LOST, away, it=ENDED)) == condition(written(LOST))


def test_it_is_due_where_the_worker_says_something_else() -> None:
    assert not outputs_due(written(AWAY), OutputHealth.WAITING)
    assert outputs_due(written(AWAY), OutputHealth.DELIVERED)
    assert outputs_due(written(None), OutputHealth.DELIVERED)
    assert not outputs_due(written(AWAY), None)


@pytest.mark.parametrize(
    ("counted", "posted", "due"),
    [
        pytest.param({"objectsPosted": 4, "objectsNotPosted": 5}, 6, True, id="more"),
        pytest.param({"objectsPosted": 6, "objectsNotPosted": 3}, 6, False, id="written"),
        pytest.param({"objectsPosted": 9, "objectsNotPosted": 0}, 11, False, id="nothing is lacking"),
        pytest.param({"objectsPosted": 4, "objectsNotPosted": 5}, None, False, id="nothing told"),
        pytest.param(None, 6, False, id="nothing counted"),
    ],
)
def test_when_best_shots_that_were_taken_since_are_written(
    counted: dict[str, int] | None, posted: int | None, due: bool
) -> None:
    assert posted_due({"statistics": counted}, posted) is due
