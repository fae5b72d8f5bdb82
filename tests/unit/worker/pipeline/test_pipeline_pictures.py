"""Snapshots and live pictures."""

import asyncio
import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.support.archives import Away, FaultyStore, becomes, threads_over
from tests.support.clocks import HandClock
from videofleet_archive.threads import StoreThreads
from videofleet_worker.decode.frame import Frame, FrameHeader
from videofleet_worker.decode.ring import SlotViews
from videofleet_worker.outputs.live import Viewers
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.pictures import Pictures, SharedFrame

KEY = "p/snapshot.jpg"


class _Stage:
    """Pictures over a real store, and frames that know whether they were given back."""

    def __init__(self, threads: StoreThreads, executor: ThreadPoolExecutor) -> None:
        self.clock = HandClock()
        self.pictures = Pictures(threads, KEY, executor, self.clock)
        self.held: set[int] = set()
        self.views = SlotViews
        self._next = 0

    def offer(self, grey: int, tracks: int = 0, masks: int = 0) -> None:
        """A frame of one brightness with so many tracked objects, and masks of this number."""
        number, self._next = self._next, self._next + 1
        self.held.add(number)
        chroma = np.full((24, 32), 128, np.uint8)
        views = self.views(np.full((48, 64), grey, np.uint8), chroma, chroma, np.zeros((3, 1, 1), np.uint8))
        header = FrameHeader(number, 0.0, 0.0, 64, 48, True, True, masks)
        shared = SharedFrame(Frame(header, views, lambda: self.held.discard(number)))
        objects = [FoundObject(one + 1, "person", 0.9, (2, 2, 6, 6)) for one in range(tracks)]
        self.pictures.offer(shared, objects)
        shared.release()


@pytest.fixture
async def stage(store: FaultyStore) -> AsyncIterator[_Stage]:
    with ThreadPoolExecutor(1) as executor:
        async with threads_over(store) as threads:
            yield _Stage(threads, executor)


async def test_after_a_change_of_masks_no_picture_from_before_is_kept_or_shown(
    stage: _Stage, store: FaultyStore
) -> None:
    stage.offer(50, tracks=3)
    await becomes(lambda: store.read(KEY) is not None, "the first snapshot is stored")
    with stage.pictures.viewers.enter() as viewer:
        # One at work, and one that waits.
        stage.offer(60, tracks=4)
        stage.offer(70, tracks=5)
        await stage.pictures.keep_masked(1)
        assert (await stage.pictures.snapshot(), store.read(KEY), stage.held) == (None, None, set())
        stage.offer(200, tracks=1, masks=1)
        assert abs(_brightness(await anext(viewer.pictures())) - 200) <= 2
    await stage.pictures.finish()
    assert abs(_brightness(store.read(KEY)) - 200) <= 2, "no better one from before is in its way"


class _OnDevice(SlotViews):
    """A frame whose device makes pictures of it."""

    def jpeg(self, area: tuple[int, int, int, int]) -> bytes:  # type: ignore[override]  # as on a device
        return b"%d of %d by %d of %d" % (area[2] - area[0], 64, area[3] - area[1], 48)


async def test_where_nothing_is_drawn_the_picture_is_made_where_its_frame_lies(
    stage: _Stage, store: FaultyStore
) -> None:
    stage.views = _OnDevice
    stage.offer(50)
    await becomes(lambda: store.read(KEY) == b"64 of 64 by 48 of 48", "the snapshot of the device is stored")
    stage.offer(100, tracks=1)
    await stage.pictures.finish()
    assert abs(_brightness(store.read(KEY)) - 100) <= 2, "what is drawn is drawn in the processor's memory"


async def test_masks_that_are_as_they_were_cost_no_picture(stage: _Stage, store: FaultyStore) -> None:
    await stage.pictures.keep_masked(1)
    stage.offer(50, tracks=3, masks=1)
    await stage.pictures.keep_masked(1)
    await stage.pictures.finish()
    assert abs(_brightness(store.read(KEY)) - 50) <= 2


def _brightness(jpeg: bytes | None) -> int:
    """Of the lower right corner, where nothing is drawn."""
    assert jpeg is not None
    return int(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))[44, 60])


async def test_of_a_file_the_frame_with_the_most_tracked_objects_is_kept(stage: _Stage, store: FaultyStore) -> None:
    for grey, tracks in ((50, 1), (100, 3), (150, 2), (200, 3)):
        stage.offer(grey, tracks)
    await stage.pictures.finish()
    assert abs(_brightness(store.read(KEY)) - 100) <= 2
    assert await stage.pictures.snapshot() == store.read(KEY)
    assert stage.held == set()


async def test_of_a_camera_the_current_frame_is_kept_every_two_seconds(stage: _Stage, store: FaultyStore) -> None:
    stage.pictures.live = True
    for grey, seconds in ((50, 0.0), (100, 1.9), (150, 0.2), (200, 0.1)):
        stage.clock.now += seconds
        stage.offer(grey)
        await becomes(lambda: not stage.held, "the frame is drawn")
    await stage.pictures.finish()
    assert abs(_brightness(store.read(KEY)) - 150) <= 2


async def test_nothing_is_drawn_while_nobody_needs_it(stage: _Stage) -> None:
    stage.offer(50, tracks=2)
    first = await stage.pictures.snapshot()
    stage.offer(100, tracks=1)
    assert stage.held == set()
    with stage.pictures.viewers.enter() as viewer:
        seeing = asyncio.ensure_future(anext(viewer.pictures()))

        def is_seen() -> bool:
            # One that comes while the first is still being stored is passed over.
            stage.offer(100, tracks=1)
            return seeing.done()

        await becomes(is_seen, "a picture comes")
    assert abs(_brightness(await seeing) - 100) <= 2
    assert await stage.pictures.snapshot() == first, "what a viewer sees is no better snapshot"


async def test_a_store_that_is_away_gets_the_snapshot_later(stage: _Stage, store: FaultyStore) -> None:
    away = Away()
    store.fault = away
    stage.offer(50, tracks=1)
    await becomes(lambda: ("replace", KEY) in store.calls, "the store was tried")
    await becomes(lambda: not stage.held, "the frame was given back")
    away.back()
    await stage.pictures.finish()
    assert abs(_brightness(store.read(KEY)) - 50) <= 2


async def test_a_slow_viewer_misses_pictures_and_the_newest_is_kept() -> None:
    viewers = Viewers()
    with viewers.enter() as slow, viewers.enter() as other:
        for number in range(5):
            viewers.show(b"%d" % number)
        assert await anext(slow.pictures()) == b"4"
        other.leave()
        assert [picture async for picture in other.pictures()] == []
        assert len(viewers) == 2
    assert len(viewers) == 0


async def test_viewers_are_sent_home_when_the_job_ends() -> None:
    viewers = Viewers()
    with viewers.enter() as viewer:
        watching = asyncio.create_task(_collect(viewers, viewer.pictures()))
        viewers.show(b"1")
        assert await watching == [b"1"]
    with viewers.enter() as late:
        assert [picture async for picture in late.pictures()] == []


async def _collect(viewers: Viewers, pictures: AsyncIterator[bytes]) -> list[bytes]:
    seen = []
    async for picture in pictures:
        seen.append(picture)
        viewers.close()
    return seen


async def test_of_better_snapshots_in_quick_succession_the_last_is_drawn(stage: _Stage, store: FaultyStore) -> None:
    for tracks in range(1, 6):
        stage.offer(40 * tracks, tracks)
        await becomes(lambda: not stage.held, "the frame was given back")
    assert abs(_brightness(await stage.pictures.snapshot()) - 200) <= 2, "drawn when somebody asks"
    stage.offer(10, tracks=6)
    stage.clock.now += 2.0
    stage.offer(200, tracks=1)
    await becomes(lambda: abs(_brightness(store.read(KEY)) - 10) <= 2, "and when its time has come")
    await stage.pictures.finish()
    assert abs(_brightness(store.read(KEY)) - 10) <= 2
