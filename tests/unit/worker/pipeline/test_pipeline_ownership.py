"""When a log becomes an epoch's own: at once, or once what another worker has not sealed is kept back here."""

import asyncio

import pytest

from tests.support.archives import Away, FaultyStore, Silent, becomes, frames_of, stored_log
from tests.support.clocks import HandClock
from tests.support.epochs import CAMERA, Stage
from videofleet_archive.errors import ArchiveError
from videofleet_archive.writer import SealPolicy
from videofleet_worker.pipeline import ownership
from videofleet_worker.pipeline.ownership import Ownership, all_sealed, overlap_seconds

LIVE = SealPolicy(seconds=0, wait_when_full=False)


class Owning:
    """Makes logs an epoch's own when a test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.may = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.begun += 1
        await self.may.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "_PROMPT_SECONDS", 0.01)


async def never() -> None:
    """It does not get ripe."""
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("sealed", "kept", "waits"),
    [
        pytest.param(30, range(20, 40), False, id="it has sealed what is newer than the first frame that is kept"),
        pytest.param(24, range(20, 40), True, id="what it has sealed is hardly newer"),
        pytest.param(10, range(20, 40), True, id="it has sealed what is older"),
        pytest.param(0, range(20, 40), True, id="it has sealed nothing"),
        pytest.param(30, range(0), True, id="nothing is kept yet"),
    ],
)
async def test_a_live_source_is_taken_over_once_what_is_not_sealed_is_kept_back(
    stage: Stage, store: FaultyStore, sealed: int, kept: range, waits: bool
) -> None:
    former = await stage.epoch(1, CAMERA)
    await former.own()
    await former.frames(range(sealed))
    await former.run.close()
    taker, clock = await stage.epoch(2, CAMERA), HandClock()
    await taker.frames(kept)
    await all_sealed([taker.run], store, clock)
    assert (clock.now - 100 >= overlap_seconds(store)) is waits
    if not waits:
        assert clock.now == 100


async def test_a_store_that_is_away_says_nothing_of_what_is_sealed(stage: Stage, store: FaultyStore) -> None:
    taker, clock = await stage.epoch(1, CAMERA), HandClock()
    await taker.frames(range(5))
    store.fault = Away()
    await all_sealed([taker.run], store, clock)
    assert clock.now - 100 >= overlap_seconds(store)


async def test_results_of_a_live_source_do_not_wait_for_a_slow_store() -> None:
    owning = Owning()
    one = Ownership(owning)
    assert [await one.proceed(None, wait=False) for _ in range(3)] == [False] * 3
    owning.may.set()
    await becomes(lambda: one._owning is not None and one._owning.done(), "they are its own")
    assert [await one.proceed(None, wait=False) for _ in range(3)] == [True, False, False]
    assert owning.begun == 1


async def test_those_of_a_recorded_one_do() -> None:
    owning = Owning()
    one = Ownership(owning)
    waiting = asyncio.create_task(one.proceed(None, wait=True))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    owning.may.set()
    assert await waiting
    assert not await one.proceed(None, wait=True)


async def test_what_does_not_succeed_is_told_with_the_next_result() -> None:
    owning = Owning()
    owning.error = ArchiveError("no")
    owning.may.set()
    with pytest.raises(ArchiveError):
        await Ownership(owning).proceed(None, wait=False)


async def test_at_the_end_nobody_waits_until_it_is_ripe() -> None:
    owning = Owning()
    owning.may.set()
    one = Ownership(owning)
    assert not await one.proceed(never, wait=False)
    assert owning.begun == 0
    await one.demand()
    assert (owning.begun, one.complete) == (1, True)
    await one.demand()
    assert owning.begun == 1


async def test_who_is_stopped_before_it_is_ripe_owns_nothing() -> None:
    owning = Owning()
    one = Ownership(owning)
    await one.proceed(never, wait=False)
    assert not await one.settle()
    assert (owning.begun, one.complete) == (0, False)


async def test_who_is_stopped_meanwhile_brings_it_to_its_end() -> None:
    owning = Owning()
    one = Ownership(owning)
    await one.proceed(None, wait=False)
    settling = asyncio.create_task(one.settle())
    done, _ = await asyncio.wait({settling}, timeout=0.05)
    assert not done
    owning.may.set()
    assert await settling
    assert one.complete


async def test_frames_that_come_while_a_slow_store_is_asked_are_all_told_in_order(
    stage: Stage, store: FaultyStore
) -> None:
    camera = await stage.epoch(1, CAMERA, LIVE)
    store.fault = silent = Silent()
    owning = asyncio.create_task(camera.own())
    await becomes(lambda: silent.asked, "the store is asked")
    await camera.frames(range(10))
    assert not owning.done()
    silent.back()
    await owning
    await camera.frames(range(10, 12))
    await camera.run.close()
    assert frames_of(stored_log(store.real)) == list(range(12))
