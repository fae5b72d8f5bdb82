"""When the logs of a job become an epoch's own: with its first result, and without holding up those that follow."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from videofleet_archive.acquire import look
from videofleet_archive.errors import ArchiveError
from videofleet_archive.store import Store
from videofleet_worker.pipeline.analytics import AnalyticsRun
from videofleet_worker.sources.clock import Clock

_OVERLAP_MARGIN: Final = 1.0
_SEALED_MARGIN: Final = 0.5
"""Seconds by which one frame may come to two workers at different times."""
_LOOKS: Final = 10
"""In the time that is waited at most."""
_PROMPT_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 600.0
_CLOSE_SECONDS: Final = 10.0


def overlap_seconds(store: Store) -> float:
    """For so long at most an epoch that takes a live source over from another worker keeps results back before it owns
    the log: what the other one had not sealed by then is among them."""
    return store.seals.unattended + _OVERLAP_MARGIN


async def all_sealed(runs: Sequence[AnalyticsRun], store: Store, clock: Clock) -> None:
    """Until everything that the worker before has not sealed is among what these runs keep back: once it has sealed
    what is newer than the first of that, and after `overlap_seconds` whatever it has sealed.

    Raises ArchiveCorruptError. A store that does not answer is waited for as long.
    """
    longest = overlap_seconds(store)
    latest = clock.monotonic() + longest
    while clock.monotonic() < latest:
        with suppress(ArchiveError):
            if all([await _is_sealed(one) for one in runs]):
                return
        await clock.sleep(longest / _LOOKS)


async def _is_sealed(run: AnalyticsRun) -> bool:
    view, first = run.log.view, run.kept_since
    if first is None:
        return False
    found = await view.threads.call(look, view.threads.store, view.prefix)
    sealed = found.resume.sidecar.arrival if found.resume is not None else None
    return found.ending is not None or (sealed is not None and sealed >= first + _SEALED_MARGIN)


class Ownership:
    """Has the logs owned once; results that come meanwhile are kept back by their runs."""

    def __init__(self, own: Callable[[], Awaitable[None]]) -> None:
        """`own` makes the logs this epoch's own."""
        self.complete = False
        self._own = own
        self._owning: asyncio.Task[None] | None = None
        self._is_ripe = False
        self._at_once = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether there were results."""
        return self._owning is not None

    async def proceed(self, ripe: Callable[[], Awaitable[None]] | None, *, wait: bool) -> bool:
        """With each result: whether the logs have become this epoch's own. Raises as `own` does, and ArchiveError.

        `ripe` returns once they may; `wait`: nothing follows before that. Else the first result waits a little, since
        most stores are prompt, and the others do not.
        """
        if self.complete:
            return False
        if self._owning is None:
            self._owning = asyncio.create_task(self._begin(ripe))
            if ripe is None:
                await asyncio.wait([self._owning], timeout=None if wait else _PROMPT_SECONDS)
        return self._owning.done() and self._completed(self._owning)

    async def demand(self) -> None:
        """Now, ripe or not. Raises as `proceed` does."""
        if self.complete:
            return
        if self._owning is None:
            self._owning = asyncio.create_task(self._begin(None))
        self._at_once.set()
        await asyncio.wait([self._owning])
        self._completed(self._owning)

    async def settle(self) -> bool:
        """Begin nothing any more; whether the logs have become this epoch's own by what was begun."""
        owning = self._owning
        if self.complete or owning is None:
            return False
        if self._is_ripe:
            await asyncio.wait([owning], timeout=_CLOSE_SECONDS)
        owning.cancel()
        await asyncio.wait([owning])
        self.complete = not owning.cancelled() and owning.exception() is None
        return self.complete

    def _completed(self, owning: asyncio.Task[None]) -> bool:
        owning.result()
        self.complete = True
        return True

    async def _begin(self, ripe: Callable[[], Awaitable[None]] | None) -> None:
        if ripe is not None:
            ripening, at_once = asyncio.ensure_future(ripe()), asyncio.create_task(self._at_once.wait())
            try:
                await asyncio.wait({ripening, at_once}, return_when=asyncio.FIRST_COMPLETED)
                if ripening.done():
                    ripening.result()
            finally:
                ripening.cancel()
                at_once.cancel()
        self._is_ripe = True
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                await self._own()
        except TimeoutError as error:
            raise ArchiveError(f"it does not answer within {_LONGEST_SECONDS:.0f} s") from error
