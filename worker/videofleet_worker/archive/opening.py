"""Opening a log for a new epoch, or only to read it."""

from dataclasses import dataclass

from videofleet_worker.archive.acquire import Ending, ResumePoint, acquire, scan
from videofleet_worker.archive.threads import StoreThreads
from videofleet_worker.archive.view import LogView
from videofleet_worker.archive.writer import Counters, LogWriter, SealPolicy


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """A log of this epoch: with a `writer`, or with the `ending` of a run that is over."""

    view: LogView
    writer: LogWriter | None
    ending: Ending | None
    resume: ResumePoint | None


async def open_log(
    threads: StoreThreads, prefix: str, epoch: int, owner: str, policy: SealPolicy, counters: Counters
) -> OpenedLog:
    """Own the log and go on at its end, or learn that it is finished. Raises as `acquire` does."""
    found = await threads.call(acquire, threads.store, prefix, epoch, owner)
    view = LogView(threads, prefix, found.extent, closed=found.ending is not None)
    writer = None if found.ending else LogWriter(view, epoch, policy, counters)
    return OpenedLog(view, writer, found.ending, found.resume)


async def view_log(threads: StoreThreads, prefix: str) -> LogView:
    """What lies in the archive now, for a log that this process does not write."""
    return LogView(threads, prefix, await threads.call(scan, threads.store, prefix), closed=True)
