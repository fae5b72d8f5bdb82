"""Whole frames that best shots come from: what of them is in memory and in the archive, and who gets them."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.support.archives import PREFIX, FaultyStore, becomes
from tests.support.letters import TellingEpoch, letter
from tests.support.receiver import Receiver
from videofleet_api.targets import JobOutputs, RouterTarget
from videofleet_archive.shots import frame_key, shot_key, stored_frames
from videofleet_archive.threads import StoreThreads
from videofleet_worker.outputs.frames import RawFrames, StoredFrames
from videofleet_worker.outputs.letters import SHOT, Letter
from videofleet_worker.outputs.outlet import Outlet
from videofleet_worker.outputs.shots import Picture
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.receivers import ROUTER

RAW = 16 * 16 * 3 // 2


def _frame() -> Picture:
    chroma = np.zeros((8, 8), np.uint8)
    return Picture((np.zeros((16, 16), np.uint8), chroma, chroma))


def _framed(number: int) -> Letter:
    return letter(number, SHOT, track_id=number, framed=True)


@pytest.fixture
async def epoch(
    threads: StoreThreads, ways: WaysOut, receiver: Receiver, impatient: None
) -> AsyncIterator[TellingEpoch]:
    router = RouterTarget(url=receiver.url("/shots"))
    running = await TellingEpoch.begun(threads, ways, JobOutputs(router=router))
    yield running
    await running.outlets.close()


def _router(epoch: TellingEpoch) -> Outlet:
    return epoch.outlets.receivers[ROUTER].outlet


def test_in_memory_the_oldest_are_compressed_before_they_take_too_much() -> None:
    raw, frames = RawFrames(3 * RAW), [_frame() for _ in range(5)]
    for frame in frames:
        raw.add(frame)
    assert [frame.raw_bytes for frame in frames] == [0, 0, RAW, RAW, RAW]


def test_frames_of_which_a_better_shot_has_come_count_no_more() -> None:
    raw, first = RawFrames(2 * RAW), _frame()
    raw.add(first)
    for _ in range(5):
        raw.add(_frame())
    assert first.raw_bytes == RAW


async def test_in_the_archive_the_oldest_go(threads: StoreThreads, store: FaultyStore) -> None:
    size = len(_frame().jpeg())
    before = StoredFrames(threads, "p")
    for number in (1, 2):
        await before.keep(number, _frame())
    frames = StoredFrames(threads, "p", most=3 * size)
    for number in (3, 4, 2):
        await frames.keep(number, _frame())
    assert stored_frames(store, "p") == {2: size, 3: size, 4: size}
    assert await frames.read(1) is None


@pytest.mark.acceptance("F82")
async def test_a_router_gets_the_frame_and_then_it_goes(
    epoch: TellingEpoch, receiver: Receiver, store: FaultyStore
) -> None:
    store.replace(shot_key(PREFIX, 7), b"shot")
    store.replace(frame_key(PREFIX, 7), b"frame")
    await epoch.tell(0, [_framed(7)])
    assert await epoch.outlets.flush(60)
    (post,) = receiver.at("/shots")
    assert (post.form["photo"], post.form["frame"]) == (b"shot", b"frame")
    await becomes(lambda: stored_frames(store, PREFIX) == {}, "nobody waits for it any more")
    assert _router(epoch).without_frame == 0


async def test_a_shot_without_its_frame_is_posted_and_counted_once(
    epoch: TellingEpoch, receiver: Receiver, store: FaultyStore
) -> None:
    """It has gone, or it was in the memory of a worker that was killed."""
    receiver.statuses = [503, 503]
    store.replace(shot_key(PREFIX, 7), b"shot")
    store.replace(shot_key(PREFIX, 8), b"shot")
    store.replace(frame_key(PREFIX, 8), b"of another epoch's track 8")
    await epoch.tell(0, [_framed(7), letter(8, SHOT, track_id=8)])
    assert await epoch.outlets.flush(60)
    assert [set(post.form) for post in receiver.taken] == [{"photo", "meta"}] * 2
    assert (_router(epoch).posted, _router(epoch).without_frame) == (2, 2)
