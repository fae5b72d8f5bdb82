"""What is told of a source whose frames are not well: the condition SourceHealthy, when it is due, and its Event.

It decides nothing: no phase, no placement. So it is no part of a record and wakes no plan, but is written like counters
are, seldom and each job in its turn, or along with a change of phase.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from videofleet_api.codes import Reason, SourceHealth
from videofleet_api.conditions import Condition, ConditionStatus
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Record

CONDITION: Final = "SourceHealthy"
_NOT_WATCHED: Final = "NotWatched"


@dataclass(frozen=True, slots=True)
class Told:
    """What the worker said last. `health` None: it does not watch the source."""

    health: SourceHealth | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What the condition says. `holds` None: it cannot be said."""

    holds: bool | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class News:
    """What an Event tells."""

    reason: str
    message: str
    warning: bool


def source_health(record: Record, told: Told | None, previous: Sequence[Condition]) -> Health:
    """What is to be said of a job's source. `told` None: nothing was heard now, what was known stays."""
    if record.phase is not Phase.INPROGRESS:
        return Health(None, str(record.reason or Reason.PENDING), "known only while it runs")
    if told is None:
        known = next((each for each in previous if each.type == CONDITION), None)
        if known is None or known.status is ConditionStatus.UNKNOWN:
            return Health(None, Reason.RUNNING, "nothing heard of it yet")
        return Health(known.status is ConditionStatus.TRUE, known.reason, known.message)
    if told.health is None:
        return Health(None, _NOT_WATCHED, "only live sources are watched")
    return Health(told.health is SourceHealth.HEALTHY, told.health, told.message)


def health_due(status: object, health: SourceHealth | None) -> bool:
    """Whether a status in its JSON form says something else than the worker of a running job."""
    return health is not None and condition_in(status, CONDITION).get("reason") != health


def health_news(before: object, after: object) -> News | None:
    """What is to be told when the second status has taken the place of the first, both in their JSON form."""
    old, new = condition_in(before, CONDITION), condition_in(after, CONDITION)
    if (old.get("status"), old.get("reason")) == (new.get("status"), new.get("reason")):
        return None
    if new.get("status") == ConditionStatus.FALSE:
        return News(new["reason"], new["message"], warning=True)
    if (old.get("status"), new.get("status")) == (ConditionStatus.FALSE, ConditionStatus.TRUE):
        return News(new["reason"], f"{new['message']} again", warning=False)
    return None


def condition_in(status: object, kind: str) -> dict[str, Any]:
    """The condition of a type in a status in its JSON form; empty where there is none."""
    conditions = status.get("conditions") if isinstance(status, dict) else None
    found = (each for each in conditions or () if isinstance(each, dict) and each.get("type") == kind)
    return next(found, {})
