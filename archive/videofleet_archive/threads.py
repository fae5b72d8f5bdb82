"""The store for coroutines: its blocking calls run in threads of their own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from videofleet_archive.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class StoreThreads:
    """A store and the few threads that may wait for it, so that a slow disk holds up nothing else."""

    def __init__(self, store: Store, executor: ThreadPoolExecutor) -> None:
        self.store = store
        self._executor = executor

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the blocking function in one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def with_store(self, store: Store) -> "StoreThreads":
        """Another store on the same threads."""
        return StoreThreads(store, self._executor)
