"""The store for coroutines: its blocking calls run in threads of their own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

from videofleet_archive.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class StoreThreads:
    """A store and the few threads that may wait for it, so that a slow disk holds up nothing else."""

    def __init__(self, store: Store, executor: Executor, upkeep: Executor | None = None) -> None:
        """`upkeep`: threads for what reads or lists a whole log; without it the others do that, too.

        Where many logs are written there should be few of them: the C library keeps for each thread as much as it has
        ever needed, and that is much.
        """
        self.store = store
        self._executor = executor
        self._upkeep = upkeep or executor

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the blocking function in one of the threads."""
        return await _run(self._executor, lambda: function(*args, **kwargs))

    async def tend(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in one of those for upkeep, when its turn has come; that may take minutes, in which the caller has
        nothing else to do."""
        return await _run(self._upkeep, lambda: function(*args, **kwargs))

    def with_store(self, store: Store) -> "StoreThreads":
        """Another store on the same threads."""
        return StoreThreads(store, self._executor, self._upkeep)


async def _run(executor: Executor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, call)
