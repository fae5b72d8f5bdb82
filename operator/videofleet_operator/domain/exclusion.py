"""Workers that failed a job: it is tried elsewhere first."""

from collections.abc import Mapping
from typing import Final

from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Assigned, Excluded, Record, Seconds, Worker

LIMIT: Final = 3
"""So many workers are passed over at a time: a job that is broken itself must not run out of a large fleet."""
PATIENCE: Final[Seconds] = 30.0
"""How long a job waits for room elsewhere while only workers that failed it have some."""
BLAMELESS: Final = frozenset(
    {
        ErrorCode.AUTH,
        ErrorCode.NOT_FOUND,
        ErrorCode.TIMEOUT,
        ErrorCode.TLS,
        ErrorCode.NETWORK,
        ErrorCode.EMPTY,
        ErrorCode.FORBIDDEN,
    }
)
"""Errors of the source: another worker would meet them too."""


def blames(code: ErrorCode) -> bool:
    """Whether the worker may have caused the error."""
    return code not in BLAMELESS


def with_worker(excluded: tuple[Excluded, ...], worker: Assigned | None) -> tuple[Excluded, ...]:
    """The exclusions and one more; the oldest gives way above the limit."""
    if worker is None:
        return excluded
    others = [each for each in excluded if each.id != worker.id]
    return (*others, Excluded(worker.name, worker.id, worker.instance))[-LIMIT:]


def in_force(excluded: tuple[Excluded, ...], workers: Mapping[str, Worker]) -> tuple[Excluded, ...]:
    """Those that still count. Another process in the same pod has done nothing yet."""
    return tuple(each for each in excluded if each.id in workers and workers[each.id].instance in (None, each.instance))


def over(record: Record, now: Seconds) -> bool:
    """Whether the job has waited long enough for workers other than those that failed it."""
    return record.phase is Phase.AWAITING and now >= ends(record)


def ends(record: Record) -> Seconds:
    """When a waiting job may go to a worker that failed it."""
    return record.since + PATIENCE


def waits_elsewhere(record: Record) -> bool:
    """Whether a job waits because only workers that failed it have room."""
    return record.reason is Reason.WORKERS_EXCLUDED and record.phase is Phase.AWAITING
