"""When a plan has to be made again although nothing happens."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from videofleet_operator.domain import licence, observation
from videofleet_operator.domain.draft import Draft
from videofleet_operator.domain.draining import RELIEF_INTERVAL
from videofleet_operator.domain.expiry import expires_at
from videofleet_operator.domain.model import Job, Record, Seconds, Snapshot
from videofleet_operator.domain.placement import SILENT_AFTER
from videofleet_operator.domain.resting import Split

PATIENCE: Final[Seconds] = 5.0
"""How long a new job may stay without a status while its Secrets are being read: most need one write less so."""


def wake_time(draft: Draft, parts: Split, records: Mapping[str, Record], *, relieves: bool) -> Seconds | None:
    """The earliest time at which something is due. `relieves`: a worker holds more than it should."""
    snapshot, now = draft.snapshot, draft.snapshot.now
    times = [due for due in (draft.hosts.wake, min(parts.due.values(), default=None)) if due is not None]
    watched = set(parts.used)
    for uid, job in parts.awake.items():
        record = records.get(uid, job.record)
        for held in record.held:
            watched.add(held.id)
        times += [due for due in _dues(job, record, snapshot) if due is not None and due > now]
    times += _silences(watched, snapshot)
    if licence.to_shed(snapshot, None) is not None:
        times.append(now + licence.SHED_INTERVAL)
    if relieves:
        times.append(now + RELIEF_INTERVAL)
    return min(times, default=None)


def _dues(job: Job, record: Record, snapshot: Snapshot) -> tuple[Seconds | None, ...]:
    worker = None if record.worker is None else snapshot.workers.get(record.worker.id)
    return (
        observation.next_time(job, record, worker, snapshot.now, snapshot.led_since),
        observation.schedule_time(job, record),
        expires_at(job, record),
        record.next_move,
        None if record.observed_generation else job.created + PATIENCE,
    )


def _silences(watched: Iterable[str], snapshot: Snapshot) -> Iterator[Seconds]:
    """When the first of these workers will count as lost."""
    workers = (snapshot.workers[each] for each in watched if each in snapshot.workers)
    heard = [each.silent_for for each in workers if each.silent_for < SILENT_AFTER]
    if heard:
        yield snapshot.now + SILENT_AFTER - max(heard)
