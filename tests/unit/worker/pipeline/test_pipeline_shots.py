"""Best shots on their way from frames to the archive."""

import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.support.archives import Away, FaultyStore, becomes, threads_over
from videofleet_api.results import StreamInfo
from videofleet_archive.shots import stored_frames, stored_shots
from videofleet_archive.threads import StoreThreads
from videofleet_worker.decode.frame import Frame, FrameHeader
from videofleet_worker.decode.ring import SlotViews
from videofleet_worker.outputs.jpeg import Planes, encode_jpeg
from videofleet_worker.outputs.shots import MOST, Shot
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.pictures import SharedFrame
from videofleet_worker.pipeline.shots import Shots

LOST_SECONDS = 2.0


class _Stage:
    """Shots over a real store, fed with grey frames that know whether they were given back."""

    def __init__(self, threads: StoreThreads, executor: ThreadPoolExecutor) -> None:
        self.ended: list[Shot] = []
        self.shots = Shots(threads, "p", executor)
        self.shots.on_end = self.ended.append
        self.held: set[float] = set()
        self.views = SlotViews

    async def frame(self, pts: float, grey: int, boxes: dict[int, int]) -> None:
        """A frame with tracked objects, each a square of so many pixels' side."""
        self.held.add(pts)
        chroma = np.full((60, 80), 128, np.uint8)
        views = self.views(np.full((120, 160), grey, np.uint8), chroma, chroma, np.zeros((3, 1, 1), np.uint8))
        header = FrameHeader(round(10 * pts), pts, pts, 160, 120, True, True)
        shared = SharedFrame(Frame(header, views, lambda: self.held.discard(pts)))
        objects = [FoundObject(one, "person", 0.9, (20, 20, 20 + side, 20 + side)) for one, side in boxes.items()]
        info = StreamInfo(
            frame_index=header.index,
            total_frames=None,
            decoded_frames=0,
            dropped_frames=0,
            fps=10,
            elapsed_ms=0,
            pts=pts,
            capture_time=pts,
        )
        await self.shots.offer(shared, objects, info, LOST_SECONDS)
        shared.release()

    async def drawn(self) -> None:
        await becomes(lambda: not self.held, "all frames were given back")


@pytest.fixture(params=[65_536, 0], ids=["copied at once", "cut by a thread"])
async def stage(
    store: FaultyStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[_Stage]:
    monkeypatch.setattr("videofleet_worker.pipeline.shots._SMALL", request.param)
    with ThreadPoolExecutor(1) as executor:
        async with threads_over(store) as threads:
            yield _Stage(threads, executor)


def _grey(jpeg: bytes | None) -> int:
    assert jpeg is not None
    return int(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))[5, 5])


async def test_of_a_file_the_best_picture_of_a_track_is_stored_when_it_ends(stage: _Stage, store: FaultyStore) -> None:
    for pts, grey, side in ((0.0, 50, 20), (0.1, 100, 60), (0.2, 150, 40)):
        await stage.frame(pts, grey, {7: side})
    await stage.drawn()
    assert (await stage.shots.numbers(), stored_shots(store, "p")) == ([7], [])
    assert abs(_grey(await stage.shots.read(7)) - 100) <= 2
    await stage.frame(5.0, 200, {8: 20})
    await becomes(lambda: stored_shots(store, "p") == [7], "the shot is stored")
    assert [(one.track_id, one.moment.frame_index) for one in stage.ended] == [(7, 1)]
    assert abs(_grey(await stage.shots.read(7)) - 100) <= 2


class _OnDevice(SlotViews):
    """A frame whose device makes pictures of it."""

    def jpeg(self, area: tuple[int, int, int, int]) -> bytes:  # type: ignore[override]  # as on a device
        return b"a picture of %d to %d" % (area[0], area[2])


async def test_a_picture_is_made_where_its_frame_lies(stage: _Stage) -> None:
    stage.views = _OnDevice
    await stage.frame(0.0, 50, {1: 20})
    await stage.drawn()
    assert await stage.shots.read(1) == b"a picture of 18 to 42"


async def test_at_the_end_all_are_stored(stage: _Stage, store: FaultyStore) -> None:
    await stage.frame(0.0, 50, {1: 20, 2: 30})
    await stage.shots.finish()
    assert stored_shots(store, "p") == [1, 2]
    assert stage.held == set()


async def test_a_store_that_is_away_gets_them_later(stage: _Stage, store: FaultyStore) -> None:
    away = Away()
    store.fault = away
    await stage.frame(0.0, 50, {1: 20})
    await stage.drawn()
    await stage.frame(5.0, 50, {})
    await becomes(lambda: ("replace", "p/shots/1.jpg") in store.calls, "the store was tried")
    assert abs(_grey(await stage.shots.read(1)) - 50) <= 2, "it can be read all the while"
    away.back()
    await stage.shots.finish()
    assert (stored_shots(store, "p"), stage.shots.lost) == ([1], 0)


async def test_what_a_store_does_not_take_as_tracks_end_it_gets_later(stage: _Stage, store: FaultyStore) -> None:
    away = Away()
    store.fault = away
    await stage.frame(0.0, 50, {1: 20, 2: 20})
    await stage.shots.end()
    away.back()
    await stage.shots.finish()
    assert (stored_shots(store, "p"), stage.shots.lost) == ([1, 2], 0)


async def test_what_a_store_does_not_take_at_the_end_is_counted(stage: _Stage, store: FaultyStore) -> None:
    store.fault = Away()
    await stage.frame(0.0, 50, {1: 20, 2: 20})
    await stage.shots.finish()
    assert stage.shots.lost == 2


async def test_of_a_camera_only_the_newest_stay(stage: _Stage, store: FaultyStore) -> None:
    stage.shots.live, stage.shots.keep = True, 2
    for number in range(1, 5):
        await stage.frame(10.0 * number, 50, {number: 20})
        await stage.drawn()
    await stage.shots.finish()
    assert stored_shots(store, "p") == [3, 4]


async def test_a_track_that_shows_up_for_a_moment_of_a_file_is_not_missed(stage: _Stage, store: FaultyStore) -> None:
    for number in range(20):
        await stage.frame(number / 10, 50, {number + 1: 40})
    await stage.shots.finish()
    assert stored_shots(store, "p") == list(range(1, 21))


async def test_after_a_change_of_masks_no_picture_from_before_is_kept(stage: _Stage, store: FaultyStore) -> None:
    await stage.frame(0.0, 50, {1: 60, 2: 60})
    await stage.shots.keep_masked(1)
    await stage.frame(0.1, 150, {1: 30})
    await stage.shots.finish()
    assert stored_shots(store, "p") == [1]
    assert abs(_grey(store.read("p/shots/1.jpg")) - 150) <= 2


@pytest.mark.acceptance("F82")
async def test_with_the_shots_lies_the_frame_that_they_come_from(
    stage: _Stage, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[int] = []

    def counted(planes: Planes) -> bytes:
        whole.extend([int(planes[0][5, 5])] if planes[0].shape == (120, 160) else [])
        return encode_jpeg(planes)

    monkeypatch.setattr("videofleet_worker.outputs.shots.encode_jpeg", counted)
    stage.shots.wants_frames = lambda: True
    for pts, grey, side in ((0.0, 50, 20), (0.1, 100, 40), (0.2, 150, 60)):
        await stage.frame(pts, grey, {7: side, 8: side})
    await stage.frame(0.3, 200, {9: 60})
    await stage.shots.finish()
    assert list(stored_frames(store, "p")) == [7, 8, 9]
    assert [(one.track_id, one.framed) for one in stage.ended] == [(7, True), (8, True), (9, True)]
    frame = await stage.shots.frames.read(7)
    assert abs(_grey(frame) - 150) <= 2
    assert frame == await stage.shots.frames.read(8)
    assert whole == [150, 200], "each frame once, and none of which no shot is left"


async def test_nobody_gets_a_frame_that_nobody_asks_for(stage: _Stage, store: FaultyStore) -> None:
    await stage.frame(0.0, 50, {1: 20})
    await stage.shots.finish()
    assert (stored_shots(store, "p"), stored_frames(store, "p")) == ([1], {})
    assert not stage.ended[0].framed


async def test_frames_of_shots_that_are_stored_early_lie_beside_them(stage: _Stage, store: FaultyStore) -> None:
    """So much goes on at once that not all of it stays in memory."""
    stage.shots.wants_frames = lambda: True
    for number in range(MOST + 2):
        await stage.frame(number / 100, 50, {number + 1: 20})
    await becomes(lambda: list(stored_frames(store, "p")) == [1, 2], "the first ones are stored")
    await stage.shots.finish()
    assert list(stored_frames(store, "p")) == list(range(1, MOST + 3))
    assert all(one.framed for one in stage.ended)
