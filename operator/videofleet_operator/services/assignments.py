"""What each worker should run, from what the API server has acknowledged."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from videofleet_api.phases import ASSIGNED
from videofleet_operator.domain.differences import gone, replaced
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.wanted import Wanted


class Assignments:
    """Keeps, from one pass to the next, what each worker should run; only jobs that have changed are looked at."""

    def __init__(self) -> None:
        self._seen: dict[str, KnownJob] = {}
        self._workers: dict[str, Mapping[str, Wanted]] = {}

    def follow(self, jobs: Mapping[str, KnownJob]) -> Mapping[str, Mapping[str, Wanted]]:
        """The jobs of each worker, by pod uid and job uid. A worker's are the same object while nothing has changed."""
        changed = replaced(self._seen, jobs)
        before = ((uid, self._seen[uid]) for uid in (*changed, *gone(self._seen, jobs)) if uid in self._seen)
        touched: dict[str, dict[str, Wanted]] = {}
        for uid, known in before:
            for worker, _ in wanted(known):
                self._of(worker, touched).pop(uid, None)
        for uid in changed:
            for worker, item in wanted(jobs[uid]):
                self._of(worker, touched)[uid] = item
        self._workers.update(touched)
        for worker in touched:
            if not self._workers[worker]:
                del self._workers[worker]
        self._seen = dict(jobs)
        return self._workers

    def _of(self, worker: str, touched: dict[str, dict[str, Wanted]]) -> dict[str, Wanted]:
        """A copy to change: who was given the former one may still look at it."""
        if worker not in touched:
            touched[worker] = dict(self._workers.get(worker, {}))
        return touched[worker]


def wanted(known: KnownJob) -> Iterator[tuple[str, Wanted]]:
    """Where a job should run, by pod uid.

    A job whose Secret cannot be read at the moment, or whose spec changed since it was given out, stays with what its
    worker has: the entry then names the digest that was given out, and a worker that lacks it asks in vain.
    """
    record = known.job.record
    if record.phase not in ASSIGNED or record.worker is None or record.spec_digest is None:
        return
    same = known.job.digest == record.spec_digest
    item = Wanted(
        namespace=known.job.namespace,
        name=known.job.name,
        run=record.run,
        epoch=record.epoch,
        digest=record.spec_digest,
        settings=(known.job.settings if same else record.settings) or "",
        given=known if same else None,
        instance=record.worker.instance,
        leaves=record.move is not None,
    )
    yield record.worker.id, item
    if record.move is not None:
        # Both run it until the first frame there; only one of them can write results at any time.
        to = record.move.worker
        yield to.id, replace(item, epoch=record.move.epoch, takes_over=True, leaves=False, instance=to.instance)
