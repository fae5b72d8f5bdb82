"""What is told of the receivers of a job's results: the condition OutputsDelivered, and when it is due.

It decides nothing, and is written like how a source is. After the job's end it says what was known last, also by who
delivers the rest.
"""

from collections.abc import Sequence
from typing import Final

from videofleet_api.codes import OutputHealth
from videofleet_api.conditions import Condition, ConditionStatus
from videofleet_api.outputs import Outputs
from videofleet_api.protocol import Delivered
from videofleet_operator.domain.health import Health, condition_in
from videofleet_operator.domain.reports import Counters
from videofleet_operator.domain.statistics import written_counters

CONDITION: Final = "OutputsDelivered"


def outputs_delivered(outputs: Outputs, told: Counters | None, previous: Sequence[Condition]) -> Health | None:
    """What is to be said of a job's receivers; None: nothing, since it has none, or nothing was ever heard of them.

    `told`: what the worker said last; None or without a word of them: what was known stays.
    """
    if outputs.router is None and not outputs.webhooks and outputs.mqtt is None:
        return None
    if told is not None and told.outputs is not None:
        return Health(told.outputs is OutputHealth.DELIVERED, told.outputs, told.outputs_message or "")
    known = next((each for each in previous if each.type == CONDITION), None)
    return None if known is None else Health(known.status is ConditionStatus.TRUE, known.reason, known.message)


def outputs_due(status: object, outputs: OutputHealth | None) -> bool:
    """Whether a status in its JSON form says something else than the worker of a running job."""
    return outputs is not None and condition_in(status, CONDITION).get("reason") != outputs


def in_all(told: Delivered, status: object, before: Delivered | None) -> Delivered:
    """What was told of a job that no worker has, with all best shots that its router has taken by now: so it can be
    written again, and counts once.

    `told`: with those of this answer alone; `before`: what this returned for the answer before it, which a status in
    its JSON form may not show yet.
    """
    written = written_counters(status)
    shown = None if written is None else written.objects_posted
    if shown is None:
        return told.model_copy(update={"objects_posted": None})
    counted = max(shown, (before.objects_posted or 0) if before is not None else 0)
    return told.model_copy(update={"objects_posted": counted + (told.objects_posted or 0)})


def posted_due(status: object, posted: int | None) -> bool:
    """Whether a status in its JSON form lacks best shots that a router has taken."""
    written = None if posted is None else written_counters(status)
    if posted is None or written is None:
        return False
    return bool(written.objects_not_posted) and posted > (written.objects_posted or 0)
