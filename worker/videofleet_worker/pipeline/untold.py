"""Tells receivers what workers that are no more have left, of runs that no worker has."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from videofleet_api.codes import OutputHealth
from videofleet_api.finalize import Finalize
from videofleet_api.protocol import Delivered, Entry
from videofleet_archive.notes import forget_untold
from videofleet_archive.threads import StoreThreads
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.earlier import left_in
from videofleet_worker.pipeline.leftovers import Leftovers
from videofleet_worker.pipeline.outlets import SEVERITY, JobOutlets
from videofleet_worker.pipeline.receivers import has_receivers
from videofleet_worker.pipeline.unseen import tell_unseen_ends

_SECONDS: Final = 600.0
"""For so long at a time: what receivers do not take by then is noted still, and others have their turn."""

_WELL: Final = Delivered(health=OutputHealth.DELIVERED, message="receivers take what they are sent")


@dataclass(frozen=True, slots=True)
class UntoldRuns:
    """Delivers what is noted as untold, with the targets that the operator gives."""

    threads: StoreThreads
    ways: WaysOut
    leftovers: Leftovers
    seconds: float = _SECONDS

    async def tell(self, fleet: str, wanted: Finalize) -> Delivered | None:
        """Deliver for a while, and forget the notes once everybody has everything; how the receivers are, None where
        there are none. Raises ArchiveError, and ArchiveCorruptError."""
        delivered = None
        if has_receivers(wanted.outputs):
            everything, delivered = await self._deliver(wanted)
            if not everything:
                return delivered
        await self.threads.call(forget_untold, self.threads.store, fleet, wanted.untold)
        return delivered

    async def _deliver(self, wanted: Finalize) -> tuple[bool, Delivered]:
        """Whether everybody has everything, and how they are."""
        deadline = time.monotonic() + self.seconds
        runs = sorted({each.run for each in wanted.untold})
        # Who has ended a run here tells its receivers still, unless the job has others by now.
        here = self.leftovers.of(wanted.uid, runs)
        former = [one for one in here if one.outlets.wanted != wanted.outputs]
        await self.leftovers.stop(former)
        here = [one for one in here if one.outlets.wanted == wanted.outputs]
        told = [one.outlets for one in (*here, *former)]
        if not await self.leftovers.over(here, self.seconds):
            return False, _said([one.outlets for one in here], told)
        outlets = JobOutlets(self.ways)
        outlets.use(wanted.outputs)
        try:
            all_there = [await self._serve(wanted, run, outlets) for run in runs]
        except BaseException:
            await outlets.close()
            raise
        left = max(1.0, deadline - time.monotonic())
        everything = await self.leftovers.deliver(_entry(wanted, runs[-1]), outlets, left)
        return all(all_there) and everything, _said([*(one.outlets for one in here), outlets], [*told, outlets])

    async def _serve(self, wanted: Finalize, run: int, outlets: JobOutlets) -> bool:
        """Give the outlets what there is of a run; whether nothing can be added to it."""
        folder = f"{wanted.namespace}/{wanted.uid}/{run}"
        prefixes = await self.threads.call(self.threads.store.folders, folder)
        over = [
            await self.threads.call(tell_unseen_ends, self.threads.store, each, wanted, outlets) for each in prefixes
        ]
        for outbox in await left_in(folder, self.threads):
            outlets.serve(outbox)
        return all(over)


def _entry(wanted: Finalize, run: int) -> Entry:
    """As what is delivered shows in metrics."""
    epoch = max(each.epoch for each in wanted.untold)
    return Entry(uid=wanted.uid, namespace=wanted.namespace, name=wanted.name, run=run, epoch=epoch, digest="")


def _said(outlets: Iterable[JobOutlets], told: Iterable[JobOutlets]) -> Delivered:
    """How the receivers are of outlets that have some, at the worst; and what all that were told have taken."""
    worst = max((each.health or _WELL for each in outlets), key=lambda each: SEVERITY.index(each.health))
    posted = [each.posted_since() for each in told]
    counted = [each for each in posted if each is not None]
    return worst.model_copy(update={"objects_posted": sum(counted) if counted else None})
