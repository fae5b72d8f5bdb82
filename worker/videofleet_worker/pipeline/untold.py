"""Tells receivers what workers that are no more have left, of runs that no worker has."""

import time
from dataclasses import dataclass
from typing import Final

from videofleet_api.finalize import Finalize
from videofleet_api.protocol import Entry
from videofleet_archive.notes import forget_untold
from videofleet_archive.threads import StoreThreads
from videofleet_worker.outputs.outbox import Outbox
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.earlier import left_in, serving
from videofleet_worker.pipeline.leftovers import Leftovers
from videofleet_worker.pipeline.receivers import has_receivers

_SECONDS: Final = 600.0
"""For so long at a time: what receivers do not take by then is noted still, and others have their turn."""


@dataclass(frozen=True, slots=True)
class UntoldRuns:
    """Delivers what is noted as untold, with the targets that the operator gives."""

    threads: StoreThreads
    ways: WaysOut
    leftovers: Leftovers
    seconds: float = _SECONDS

    async def tell(self, fleet: str, wanted: Finalize) -> None:
        """Deliver for a while, and forget the notes once everybody has everything. Raises ArchiveError, and
        ArchiveCorruptError."""
        if not has_receivers(wanted.outputs) or await self._deliver(wanted):
            await self.threads.call(forget_untold, self.threads.store, fleet, wanted.untold)

    async def _deliver(self, wanted: Finalize) -> bool:
        """Whether everybody has everything."""
        deadline = time.monotonic() + self.seconds
        runs = sorted({each.run for each in wanted.untold})
        # Who has ended a run here may not have given up on its receivers.
        await self.leftovers.pause(wanted.uid, runs, self.seconds)
        outboxes: list[Outbox] = []
        for run in runs:
            outboxes += await left_in(f"{wanted.namespace}/{wanted.uid}/{run}", self.threads)
        entry = Entry(
            uid=wanted.uid,
            namespace=wanted.namespace,
            name=wanted.name,
            run=runs[-1],
            epoch=max(each.epoch for each in wanted.untold),
            digest="",
        )
        outlets = serving(outboxes, wanted.outputs, self.ways)
        return await self.leftovers.deliver(entry, outlets, max(1.0, deadline - time.monotonic()))
