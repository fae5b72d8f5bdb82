"""A log is seen first, and owned when there is something to write."""

from collections.abc import Callable
from dataclasses import dataclass

from videofleet_archive.acquire import Ending, ResumePoint, acquire, look
from videofleet_archive.threads import StoreThreads
from videofleet_archive.view import LogView
from videofleet_archive.writer import Counters, LogWriter, SealPolicy, boot_seconds


@dataclass(frozen=True, slots=True)
class SeenLog:
    """A log as it was found: with the `ending` of a run that is over, or with where earlier epochs are."""

    view: LogView
    ending: Ending | None
    resume: ResumePoint | None


@dataclass(frozen=True, slots=True)
class OwnedLog:
    """A log of this epoch: with a `writer`, or with the `ending` of a run that is over."""

    view: LogView
    writer: LogWriter | None
    ending: Ending | None
    resume: ResumePoint | None


async def see_log(threads: StoreThreads, prefix: str) -> SeenLog:
    """Look at the log; whoever writes it goes on. Raises as `look` does."""
    found = await threads.call(look, threads.store, prefix)
    view = LogView(threads, prefix, found.extent, closed=found.ending is not None)
    return SeenLog(view, found.ending, found.resume)


async def own_log(
    view: LogView,
    epoch: int,
    owner: str,
    policy: SealPolicy,
    counters: Counters,
    clock: Callable[[], float] = boot_seconds,
) -> OwnedLog:
    """Own the log and go on at its end, or learn that it was finished meanwhile. Raises as `acquire` does."""
    found = await view.threads.call(acquire, view.threads.store, view.prefix, epoch, owner)
    await view.renew(found.extent, closed=found.ending is not None)
    writer = None if found.ending else LogWriter(view, epoch, policy, counters, clock)
    return OwnedLog(view, writer, found.ending, found.resume)
