"""What each worker should run, from what the API server has acknowledged."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from videofleet_api.phases import ASSIGNED
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.wanted import Wanted


def wanted(jobs: Iterable[KnownJob]) -> Mapping[str, Mapping[str, Wanted]]:
    """The jobs of each worker, by pod uid and job uid.

    A job whose Secret cannot be read at the moment, or whose spec changed since it was given out, stays with what its
    worker has: the entry then names the digest that was given out, and a worker that lacks it asks in vain.
    """
    result: dict[str, dict[str, Wanted]] = defaultdict(dict)
    for known in jobs:
        record = known.job.record
        if record.phase not in ASSIGNED or record.worker is None or record.spec_digest is None:
            continue
        uid = known.job.uid
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
        )
        result[record.worker.id][uid] = item
        if record.move is not None:
            # Both run it until the first frame there; only one of them can write results at any time.
            to = record.move.worker
            result[to.id][uid] = replace(item, epoch=record.move.epoch, takes_over=True, instance=to.instance)
    return result
