"""The archive as the gateway reads it: what workers have stored, and nothing before that."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson

from videofleet_archive.acquire import Ending, look, scan
from videofleet_archive.errors import ArchiveCorruptError, ArchiveError
from videofleet_archive.reader import Logs
from videofleet_archive.results import results_key, summarise
from videofleet_archive.store import Store
from videofleet_archive.threads import StoreThreads
from videofleet_gateway.errors import Failure, GatewayError
from videofleet_gateway.results.feed import Feed
from videofleet_gateway.results.feeds import Attend, Feeds
from videofleet_gateway.results.looks import Looks

_THREADS: Final = 8
_ENDINGS: Final = 100_000
"""Of runs that are over, remembered: nothing changes them any more."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogState:
    """What is known of a log. `begun`: there are bytes of it; `ending`: how it ended, and that it did."""

    begun: bool = False
    ending: Ending | None = None

    @property
    def is_open(self) -> bool:
        """There are results, and more may come."""
        return self.begun and self.ending is None


class Archive:
    """Logs and summaries of runs. A store that does not answer is a GatewayError, UNAVAILABLE."""

    def __init__(self, store: Store, attend: Attend | None = None) -> None:
        """`attend` wakes who follows a log, as long as it may grow."""
        self._executor = ThreadPoolExecutor(_THREADS, "archive")
        self.threads = StoreThreads(store, self._executor)
        self._feeds = Feeds(Logs(self.threads), attend)
        self._endings: dict[str, Ending] = {}
        self._looks = Looks(self._look)

    @asynccontextmanager
    async def feed(self, prefix: str) -> AsyncGenerator[Feed, None]:
        """The log under `prefix` as it is now and as it grows, followed once for all who listen to it."""
        async with AsyncExitStack() as stack:
            yield await asked(stack.enter_async_context(self._feeds.open(prefix)))

    async def state(self, prefix: str, age: float = 0.0) -> LogState:
        """How far the log under `prefix` is, or was at most `age` seconds ago.

        One that is over never changes, and is looked at once; one that somebody listens to is followed anyway.
        """
        if prefix in self._endings:
            return LogState(begun=True, ending=self._endings[prefix])
        feed = self._feeds.of(prefix)
        if feed is not None and (feed.ending is not None or not feed.over):
            return self._remembered(prefix, LogState(begun=feed.end > 0, ending=feed.ending))
        return self._remembered(prefix, await self._looks.at(prefix, age))

    async def _look(self, prefix: str) -> LogState:
        found = await asked(self.threads.call(look, self.threads.store, prefix))
        return LogState(begun=bool(found.extent.segments), ending=found.ending)

    def _remembered(self, prefix: str, state: LogState) -> LogState:
        if state.ending is not None and len(self._endings) < _ENDINGS:
            self._endings[prefix] = state.ending
        return state

    async def has_log(self, prefix: str) -> bool:
        """Whether anything of the log under `prefix` is kept."""
        return bool((await asked(self.threads.call(scan, self.threads.store, prefix))).segments)

    async def summary(self, prefix: str) -> dict[str, Any]:
        """What results.json of the finished run under `prefix` says; folded from the log while it is not there yet."""
        stored = await asked(self.threads.call(self.threads.store.read, results_key(prefix)))
        if stored is not None:
            found: dict[str, Any] = orjson.loads(stored)
            return found
        result = await asked(self.threads.call(summarise, self.threads.store, prefix, ""))
        return result.model_dump(by_alias=True, exclude_none=True)

    def job_deleted(self, namespace: str, uid: str) -> None:
        """Nobody will write to its logs any more: who listens gets what is there."""
        self._feeds.end(f"{namespace}/{uid}/")

    def stop(self) -> None:
        """Send all who listen away."""
        self._feeds.stop()

    async def close(self) -> None:
        """End all looks and threads."""
        self.stop()
        await self._looks.close()
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)


async def asked(answer: Awaitable[T]) -> T:
    """What the archive says. Raises GatewayError where it does not."""
    try:
        return await answer
    except ArchiveError as error:
        raise GatewayError(Failure.UNAVAILABLE, "the archive does not answer", retry_after=1) from error
    except ArchiveCorruptError as error:
        raise GatewayError(Failure.INTERNAL, f"the results cannot be read: {error}") from error
