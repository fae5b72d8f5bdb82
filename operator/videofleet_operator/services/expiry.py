"""Deletes the jobs that are over and have outlived their time."""

import logging
from collections.abc import Callable, Iterable, Mapping

from videofleet_kube.operations import Delete, Outcome, Priority, Result
from videofleet_kube.resources import ObjectRef
from videofleet_kube.writes import WriteQueue
from videofleet_operator.services.caches import VIDEOJOBS
from videofleet_operator.services.gather import KnownJob

log = logging.getLogger(__name__)

_HOLD_OFF = 5.0
"""Seconds before a deletion that was refused is tried again."""


class Expiry:
    """One deletion a job at a time. Each is for the very version that was decided on: an edit cancels it."""

    def __init__(self, queue: WriteQueue, changed: Callable[[], None], clock: Callable[[], float]) -> None:
        self._queue = queue
        self._changed = changed
        self._clock = clock
        self._under_way: set[str] = set()
        self._held: dict[str, float] = {}

    def delete(self, uids: Iterable[str], known: Mapping[str, KnownJob]) -> None:
        """Delete these jobs."""
        self._held = {uid: time for uid, time in self._held.items() if time > self._clock()}
        for uid in uids:
            if uid not in self._under_way and uid not in self._held:
                self._submit(known[uid])

    def _submit(self, job: KnownJob) -> None:
        meta = job.source.meta
        self._under_way.add(meta.uid)
        target = ObjectRef(VIDEOJOBS, meta.namespace, meta.name, meta.uid, meta.resource_version)
        write = Delete(target, check_version=True)
        self._queue.submit(write, Priority.NORMAL, on_done=lambda outcome: self._done(job, outcome))

    def _done(self, job: KnownJob, outcome: Outcome) -> None:
        meta = job.source.meta
        self._under_way.discard(meta.uid)
        fields = {"namespace": meta.namespace, "job": meta.name}
        match outcome.result:
            case Result.APPLIED | Result.GONE:
                # Until the watch has told of it, the job is still in the cache.
                self._held[meta.uid] = self._clock() + _HOLD_OFF
                log.info("deleted, its time after its end is over", extra=fields)
            case Result.CONFLICT:
                self._changed()
            case _:
                self._held[meta.uid] = self._clock() + _HOLD_OFF
                log.warning("not deleted", extra=fields | {"error": str(outcome.error or outcome.result)})
