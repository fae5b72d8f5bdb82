"""A log over a store that can be made to fail, and the epochs that write it."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.archives import FaultyStore, threads_over
from tests.support.epochs import Stage
from videofleet_archive.store import ObjectArchive, Store


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(ObjectArchive.in_memory())


@pytest.fixture
async def stage(store: Store) -> AsyncIterator[Stage]:
    with ThreadPoolExecutor(1) as executor:
        async with threads_over(store) as threads:
            yield Stage(threads, executor)
