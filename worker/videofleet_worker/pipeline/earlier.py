"""What receivers do not have yet of earlier runs of a job, whose workers ended before they could tell it."""

from collections.abc import Collection
from typing import Final

from videofleet_api.protocol import Entry
from videofleet_api.targets import JobOutputs
from videofleet_archive.extent import batches_folder
from videofleet_archive.opening import see_log
from videofleet_archive.threads import StoreThreads
from videofleet_worker.outputs.outbox import Outbox
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.outlets import JobOutlets

_MOST_RUNS: Final = 5
"""That are looked at, the newest: each costs two listings at the start of a run."""


async def earlier_runs(entry: Entry, threads: StoreThreads, known: Collection[int]) -> dict[int, list[Outbox]]:
    """The newest earlier runs of a job that have letters left, but those that are `known`. Raises ArchiveError, and
    ArchiveCorruptError."""
    folder = f"{entry.namespace}/{entry.uid}"
    names = (each.rpartition("/")[2] for each in await threads.call(threads.store.folders, folder))
    runs = sorted(int(name) for name in names if name.isascii() and name.isdigit() and int(name) < entry.run)
    found: dict[int, list[Outbox]] = {}
    for run in runs[-_MOST_RUNS:]:
        if run not in known:
            found[run] = await left_in(f"{folder}/{run}", threads)
    return {run: outboxes for run, outboxes in found.items() if outboxes}


async def left_in(run: str, threads: StoreThreads) -> list[Outbox]:
    """The letters that lie beside the logs of a run, by the folder of the run. Raises ArchiveError, and
    ArchiveCorruptError."""
    outboxes = []
    for prefix in await threads.call(threads.store.folders, run):
        if await threads.call(threads.store.listing, batches_folder(prefix)):
            outbox = Outbox((await see_log(threads, prefix)).view)
            await outbox.open()
            outboxes.append(outbox)
    return outboxes


def serving(outboxes: list[Outbox], wanted: JobOutputs, ways: WaysOut) -> JobOutlets:
    """Outlets that deliver what is in these."""
    outlets = JobOutlets(ways)
    outlets.use(wanted)
    for outbox in outboxes:
        outlets.serve(outbox)
    return outlets
