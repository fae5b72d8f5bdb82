"""What this worker was told to finalize: does it, and says so until a set omits it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from videofleet_api.finalize import Finalize, Notes
from videofleet_api.protocol import Delivered
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError
from videofleet_archive.finalizing import Finalizer
from videofleet_archive.notes import read_notes
from videofleet_archive.threads import StoreThreads

_LOGGER: Final = logging.getLogger(__name__)
_AT_ONCE: Final = 2
"""Results of running jobs are sealed by the same threads."""
_RETRY_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Finalizing:
    """One task for each entry. `done` is called with the key of one that is over, and with how its receivers are.

    `quiet` returns once nothing here writes results of the job any more; `tell` tells receivers what they do not have,
    for the operator that is named. It raises ArchiveError, and ArchiveCorruptError.
    """

    def __init__(
        self,
        threads: StoreThreads,
        owner: str,
        done: Callable[[str, Delivered | None], None],
        quiet: Callable[[Finalize], Awaitable[None]],
        tell: Callable[[str, Finalize], Awaitable[Delivered | None]],
    ) -> None:
        self._threads = threads
        self._owner = owner
        self._told = done
        self._quiet = quiet
        self._tell = tell
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._done: dict[str, Delivered | None] = {}

    @property
    def done(self) -> Mapping[str, Delivered | None]:
        """What is assigned and done, by key, with how its receivers are."""
        return self._done

    def follow(self, fleet: str, wanted: Sequence[Finalize]) -> None:
        """Do these, and forget all others."""
        keys = {each.key for each in wanted}
        self._done = {key: told for key, told in self._done.items() if key in keys}
        for key in self._tasks.keys() - keys:
            self._tasks.pop(key).cancel()
        for each in wanted:
            if each.key not in self._tasks and each.key not in self._done:
                self._tasks[each.key] = asyncio.create_task(self._work(fleet, each), name=f"finalize {each.key}")

    async def notes(self, fleet: str) -> Notes:
        """What is noted in the archive. Raises ArchiveError."""
        return await self._threads.call(read_notes, self._threads.store, fleet)

    async def close(self) -> None:
        """Stop at once; who comes next does it again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, fleet: str, wanted: Finalize) -> None:
        await self._quiet(wanted)
        finalizer = Finalizer(self._threads.store, fleet, self._owner)
        tries = 0
        while not await self._try(partial(self._finalize, finalizer, wanted), wanted):
            await asyncio.sleep(_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
            tries += 1
        del self._tasks[wanted.key]
        delivered = self._done.setdefault(wanted.key, None)
        self._told(wanted.key, delivered)

    async def _finalize(self, finalizer: Finalizer, wanted: Finalize) -> None:
        async with self._at_once:
            await self._threads.call(finalizer.finalize, wanted)
        if wanted.untold:
            self._done[wanted.key] = await self._tell(finalizer.fleet, wanted)

    async def _try(self, finalize: Callable[[], Awaitable[None]], wanted: Finalize) -> bool:
        """Whether there is nothing more to do."""
        try:
            await finalize()
        except ArchiveError as error:
            _LOGGER.warning("not finalized yet: %s", error, extra={"uid": wanted.uid})
            return False
        except ArchiveCorruptError as error:
            # Another try would find the same; the note of the run stays, for whoever repairs it.
            _LOGGER.error("cannot be finalized: %s", error, extra={"uid": wanted.uid})
        return True
