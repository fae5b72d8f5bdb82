"""What is told of a source whose frames are not well."""

from typing import Any

import pytest

from tests.support.domain import NOW, job, record, report
from videofleet_api.codes import Reason, SourceHealth
from videofleet_api.phases import Phase
from videofleet_operator.domain.health import CONDITION, News, health_due, health_news
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.status import Shown, to_status

RUNNING = record(Phase.INPROGRESS, reason=Reason.RUNNING)
FROZEN = report(health=SourceHealth.FROZEN, health_message="the picture stays")
BLACK = report(health=SourceHealth.BLACK, health_message="the picture is black")
WELL = report(health=SourceHealth.HEALTHY, health_message="all is well")
RECORDED = report()


def written(it: Record, told: Report | None, previous: object = None, later: float = 0) -> dict[str, Any]:
    return dict(to_status(job(), it, Shown.of(None, told), previous, NOW + later))


def condition(status: dict[str, Any]) -> dict[str, Any]:
    (found,) = (each for each in status["conditions"] if each["type"] == CONDITION)
    return dict(found)


@pytest.mark.parametrize(
    ("it", "told", "expected"),
    [
        (RUNNING, WELL, ("True", "Healthy", "all is well")),
        (RUNNING, FROZEN, ("False", "Frozen", "the picture stays")),
        (RUNNING, RECORDED, ("Unknown", "NotWatched", "only live sources are watched")),
        (RUNNING, None, ("Unknown", "Running", "nothing heard of it yet")),
        (record(Phase.DISCONNECTED), FROZEN, ("Unknown", "Pending", "known only while it runs")),
        (Record(), None, ("Unknown", "Pending", "known only while it runs")),
    ],
    ids=["well", "frozen", "recorded", "nothing heard", "disconnected", "new"],
)
def test_what_the_condition_says(it: Record, told: Report | None, expected: tuple[str, str, str]) -> None:
    found = condition(written(it, told))
    assert (found["status"], found["reason"], found["message"]) == expected


def test_the_phase_and_the_conditions_that_others_wait_for_are_as_they_were() -> None:
    ill, well = written(RUNNING, FROZEN), written(RUNNING, WELL)
    assert {**ill, "conditions": ill["conditions"][:-1]} == {**well, "conditions": well["conditions"][:-1]}


def test_what_was_known_stays_while_nothing_is_heard() -> None:
    ill = written(RUNNING, FROZEN)
    assert condition(written(RUNNING, None, ill, later=60)) == condition(ill)


def test_the_time_is_that_of_the_change_from_well_to_ill() -> None:
    well = written(RUNNING, WELL)
    ill = written(RUNNING, FROZEN, well, later=60)
    other = written(RUNNING, BLACK, ill, later=120)
    assert condition(well)["lastTransitionTime"] != condition(ill)["lastTransitionTime"]
    assert condition(ill)["lastTransitionTime"] == condition(other)["lastTransitionTime"]


def test_it_is_due_where_the_worker_says_something_else() -> None:
    well = written(RUNNING, WELL)
    assert not health_due(well, SourceHealth.HEALTHY)
    assert health_due(well, SourceHealth.FROZEN)
    assert health_due(written(RUNNING, None), SourceHealth.HEALTHY)
    assert not health_due(written(RUNNING, RECORDED), None)
    assert health_due({}, SourceHealth.HEALTHY)
    assert health_due({"conditions": "garbled"}, SourceHealth.HEALTHY)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (WELL, WELL, None),
        (None, WELL, None),
        (RECORDED, WELL, None),
        (WELL, FROZEN, News("Frozen", "the picture stays", warning=True)),
        (None, FROZEN, News("Frozen", "the picture stays", warning=True)),
        (FROZEN, BLACK, News("Black", "the picture is black", warning=True)),
        (FROZEN, FROZEN, None),
        (FROZEN, WELL, News("Healthy", "all is well again", warning=False)),
        (FROZEN, RECORDED, None),
    ],
    ids=str,
)
def test_what_an_event_tells(before: Report | None, after: Report, expected: News | None) -> None:
    assert health_news(written(RUNNING, before), written(RUNNING, after)) == expected


def test_the_end_of_a_job_is_no_news_of_its_source() -> None:
    ill = written(RUNNING, FROZEN)
    assert health_news(ill, written(record(Phase.COMPLETED), None, ill)) is None
    assert health_news({}, written(Record(), None)) is None
