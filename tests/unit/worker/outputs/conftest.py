"""A receiver, a log in a store that can be made to fail, and the ways out to what is here; nobody waits long."""

from collections.abc import AsyncIterator

import pytest

from tests.support.archives import FaultyStore, threads_over
from tests.support.receiver import Receiver, receiving
from videofleet_api.outputs import OutputPolicy
from videofleet_archive.store import ObjectArchive, Store
from videofleet_archive.threads import StoreThreads
from videofleet_worker.outputs import courier
from videofleet_worker.outputs.ways import WaysOut


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(ObjectArchive.in_memory())


@pytest.fixture
async def threads(store: Store) -> AsyncIterator[StoreThreads]:
    async with threads_over(store) as running:
        yield running


@pytest.fixture
async def ways() -> AsyncIterator[WaysOut]:
    ways = WaysOut(OutputPolicy(allowed_cidrs=["127.0.0.0/8"]))
    yield ways
    await ways.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers are tried again at once."""
    monkeypatch.setattr("videofleet_worker.outputs.outlet.RETRY_SECONDS", (0.01,))
    monkeypatch.setattr(courier, "_RETRY_SECONDS", 0.01)
