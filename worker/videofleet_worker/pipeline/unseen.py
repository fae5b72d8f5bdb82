"""What receivers are told of tracks whose ends no worker saw: the log was ended by somebody else, behind a worker that
was killed."""

import time

from videofleet_api.finalize import Finalize
from videofleet_archive.acquire import look, tail
from videofleet_archive.outbox import store_batch
from videofleet_archive.shots import stored_shots
from videofleet_archive.store import Store
from videofleet_worker.outputs.documents import Origin
from videofleet_worker.pipeline.outlets import JobOutlets
from videofleet_worker.pipeline.telling import Telling, written


def tell_unseen_ends(store: Store, prefix: str, wanted: Finalize, outlets: JobOutlets) -> bool:
    """Lay what `outlets` are to be told of such tracks beside the log under `prefix`, behind all other letters; False:
    the log has no end yet, and whoever goes on with it or ends it has tracks to tell of.

    May be called again: what is delivered is not delivered again. Blocking. Raises ArchiveError, and
    ArchiveCorruptError.
    """
    found = look(store, prefix)
    last = found.resume if found.ending is None else tail(store, prefix, found.extent)[0]
    if last is None or not last.sidecar.unended:
        return True
    if found.ending is None:
        return False
    _, _, run, analytics = prefix.split("/")
    origin = Origin(wanted.uid, wanted.namespace, wanted.name, int(run), last.sidecar.epoch, analytics)
    telling = Telling(origin, outlets, time.time)
    telling.go_on(last.sidecar.unended, stored_shots(store, prefix))
    # No letters are at the last byte of a log, which begins no segment.
    store_batch(store, prefix, found.extent.end - 1, written(telling.end()))
    return True
