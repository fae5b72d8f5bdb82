"""What a worker was told to finalize."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.archives import Away, FaultyStore, becomes, threads_over
from videofleet_api.codes import OutputHealth
from videofleet_api.finalize import Finalize, RunEnd, Untold
from videofleet_api.names import archive_prefix
from videofleet_api.protocol import Delivered, Finalized, Inventory
from videofleet_archive.acquire import look
from videofleet_archive.store import ObjectArchive, Store
from videofleet_worker.jobs.assignments import Assignments
from videofleet_worker.jobs.events import EventHub
from videofleet_worker.jobs.finalizing import Finalizing

FLEET = "fleet-1"
AWAY = Delivered(health=OutputHealth.WAITING, message="webhook-0: it answered 503")


def entry(uid: str = "job-1", key: str | None = None) -> Finalize:
    end = RunEnd(run=1, reason="cancelled", analytics=["main"])
    return Finalize(key=key or uid, uid=uid, namespace="default", ends=[end])


def ended(store: Store, uid: str = "job-1") -> bool:
    return look(store, archive_prefix("default", uid, 1, "main")).ending is not None


class Told:
    """What the worker said, and who still seals."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.delivered: dict[str, Delivered | None] = {}
        self.keys: list[str] = []
        self.sealed = asyncio.Event()
        self.sealed.set()

    async def quiet(self, _: Finalize) -> None:
        await self.sealed.wait()

    def over(self, key: str, delivered: Delivered | None) -> None:
        """What the operator hears."""
        self.keys.append(key)
        self.delivered[key] = delivered

    async def tell(self, fleet: str, wanted: Finalize) -> Delivered:
        """Receivers get what they do not have: see UntoldRuns."""
        assert fleet == FLEET
        assert ended(self.store, wanted.uid), "the end is what they are told last"
        return AWAY


@asynccontextmanager
async def finalizing(store: Store) -> AsyncIterator[tuple[Finalizing, Told]]:
    told = Told(store)
    async with threads_over(store) as threads:
        made = Finalizing(threads, "one", told.over, told.quiet, told.tell)
        yield made, told
        await made.close()


async def test_it_is_done_once_and_said_until_it_is_not_asked_for_any_more() -> None:
    store = ObjectArchive.in_memory()
    async with finalizing(store) as (worker, told):
        worker.follow(FLEET, [entry()])
        worker.follow(FLEET, [entry()])
        await becomes(lambda: told.keys == ["job-1"], "it is said")
        assert ended(store)
        worker.follow(FLEET, [entry(), entry("job-2")])
        await becomes(lambda: told.keys == ["job-1", "job-2"], "the other one is done, too")
        assert list(worker.done) == ["job-1", "job-2"]
        worker.follow(FLEET, [entry("job-2")])
        assert list(worker.done) == ["job-2"]


async def test_receivers_are_told_the_rest_where_that_is_asked_for() -> None:
    store = ObjectArchive.in_memory()
    untold = [Untold(namespace="default", uid="job-2", run=1, epoch=1, worker="gone")]
    async with finalizing(store) as (worker, told):
        worker.follow(FLEET, [entry(), entry("job-2").model_copy(update={"untold": untold})])
        await becomes(lambda: len(told.keys) == 2, "both are done")
        assert told.delivered == worker.done == {"job-1": None, "job-2": AWAY}


async def test_what_was_stopped_here_is_sealed_first() -> None:
    store = ObjectArchive.in_memory()
    async with finalizing(store) as (worker, told):
        told.sealed.clear()
        worker.follow(FLEET, [entry()])
        await asyncio.sleep(0)
        assert not ended(store)
        told.sealed.set()
        await becomes(lambda: ended(store), "then it is ended")


async def test_what_is_not_asked_for_any_more_is_not_begun() -> None:
    store = ObjectArchive.in_memory()
    async with finalizing(store) as (worker, told):
        told.sealed.clear()
        worker.follow(FLEET, [entry()])
        worker.follow(FLEET, [])
        told.sealed.set()
        worker.follow(FLEET, [entry("job-2")])
        await becomes(lambda: told.keys == ["job-2"], "the later one is done")
        assert not ended(store)


async def test_an_archive_that_is_away_is_waited_for() -> None:
    away = Away()
    store = FaultyStore(ObjectArchive.in_memory(), away)
    async with finalizing(store) as (worker, told):
        worker.follow(FLEET, [entry()])
        await becomes(lambda: len(store.calls) > 1, "it tries")
        assert not worker.done
        away.back()
        await becomes(lambda: told.keys == ["job-1"], "it is done once the archive is back")
        assert ended(store.real)


async def test_a_log_that_cannot_be_understood_holds_nothing_up() -> None:
    store = ObjectArchive.in_memory()
    store.create(f"{archive_prefix('default', 'job-1', 1, 'main')}/chunks/0000000000000000", b"data: {}\n\n")
    async with finalizing(store) as (worker, told):
        worker.follow(FLEET, [entry()])
        await becomes(lambda: told.keys == ["job-1"], "it is given up")


async def test_events_and_inventory_tell_of_it() -> None:
    done: dict[str, Delivered | None] = {}
    hub = EventHub(lambda: Assignments("one"), list, finalized=lambda: done)
    lines = hub.lines()
    assert Inventory.model_validate_json(await anext(lines)).finalized == {}
    await anext(lines)
    done["job-1"] = AWAY
    hub.publish_finalized("job-1", AWAY)
    said = Finalized.model_validate_json(await anext(lines))
    assert (said.key, said.delivered) == ("job-1", AWAY)
    await lines.aclose()
    again = hub.lines()
    assert Inventory.model_validate_json(await anext(again)).finalized == done
    await again.aclose()
