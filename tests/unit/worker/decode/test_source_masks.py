"""Privacy masks on their way from a source's request into its frames."""

import asyncio
import os
import signal
from pathlib import Path

import av
import numpy as np
import pytest

from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import DEADLINE, read
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.masks import Mask
from videofleet_worker.decode.picture import PictureWriter
from videofleet_worker.decode.ring import RingLayout
from videofleet_worker.sources.errors import SourceError

LEFT = Mask(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
WHOLE = Mask(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
BLURRED = Mask(LEFT.corners, blur=True)
BLACK = 16


def brightness(frame: Frame) -> tuple[set[int], set[int]]:
    """The values of the left and of the right half of the picture."""
    luma = frame.planes[0]
    half = luma.shape[1] // 2
    return set(np.unique(luma[:, :half]).tolist()), set(np.unique(luma[:, half:]).tolist())


async def test_planes_and_tensor_are_masked_from_the_first_frame_on(clip: Path, make_source: MakeSource) -> None:
    def check(frame: Frame) -> None:
        left, right = brightness(frame)
        assert left == {BLACK}
        assert max(right) > BLACK or frame.index == 0
        assert frame.tensor[:, :, :15].max() == 0
        assert frame.masks == 0

    outcome = await read(make_source(clip, masks=(LEFT,)), check)
    assert outcome.error is None
    assert len(outcome.indexes) == 30


async def test_a_blurred_part_is_grey_to_the_model(clip: Path, make_source: MakeSource) -> None:
    def check(frame: Frame) -> None:
        left, right = brightness(frame)
        assert abs(max(left) - max(right)) <= 2, "the mean of a flat picture is what it was"
        assert np.ptp(frame.tensor[:, :, :15].astype(int)) <= 2

    outcome = await read(make_source(clip, masks=(BLURRED,)), check)
    assert outcome.error is None


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuvj420p"])
async def test_pictures_of_any_kind_are_masked(tmp_path: Path, make_source: MakeSource, pixels: str) -> None:
    codec = "mjpeg" if pixels == "yuvj420p" else "libx264"
    path = make_clip(tmp_path / "a.mkv", ClipSpec(frames=5, codec=codec, container="matroska", pixels=pixels))
    black = 0 if pixels == "yuvj420p" else BLACK

    def check(frame: Frame) -> None:
        assert (frame.planes[0] == black).all()
        assert (frame.planes[1] == 128).all()
        assert (frame.planes[2] == 128).all()
        assert frame.tensor.max() == 0

    outcome = await read(make_source(path, masks=(WHOLE,)), check)
    assert outcome.error is None
    assert len(outcome.indexes) == 5


@pytest.mark.parametrize(("rotation", "size"), [(90, (48, 64)), (180, (64, 48)), (270, (48, 64))])
async def test_a_mask_is_of_the_picture_as_it_is_seen(
    clip: Path, make_source: MakeSource, rotation: int, size: tuple[int, int]
) -> None:
    def check(frame: Frame) -> None:
        left, _ = brightness(frame)
        assert left == {BLACK}
        # The mask's edge may take two columns more, so that no colour reaches over it.
        assert frame.planes[0][:, size[0] // 2 + 2 :].min() > BLACK or frame.index == 0
        assert frame.tensor[:, :, :15].max() == 0
        assert frame.tensor[:, :, 18:].min() > 0 or frame.index == 0

    outcome = await read(make_source(clip, masks=(LEFT,), rotation=rotation), check)
    assert (outcome.error, set(outcome.sizes), len(outcome.indexes)) == (None, {size}, 30)


async def test_masks_change_while_a_source_runs(clip: Path, make_source: MakeSource) -> None:
    source = make_source(clip, slots=2)
    seen: list[tuple[int, bool]] = []
    async with asyncio.timeout(DEADLINE):
        async for frame in source.frames():
            with frame:
                seen.append((frame.masks, brightness(frame)[0] == {BLACK} and frame.index > 0))
                if frame.index == 5:
                    assert source.use_masks([LEFT]) == 1
                if frame.index == 15:
                    assert source.use_masks([]) == 2
    assert [number for number, _ in seen] == sorted(number for number, _ in seen)
    assert all(masked == (number == 1) for number, masked in seen)
    numbers = [number for number, _ in seen]
    # Two slots: at most two frames were decoded before the child heard of it.
    assert numbers.index(1) <= 8
    assert numbers.index(2) <= 18


async def test_a_connection_begins_with_the_masks_of_the_moment(clip: Path, make_source: MakeSource) -> None:
    source = make_source(clip)
    assert source.use_masks([LEFT]) == 1

    def check(frame: Frame) -> None:
        assert frame.masks == 1
        assert brightness(frame)[0] == {BLACK}

    outcome = await read(source, check)
    assert len(outcome.indexes) == 30


async def test_masks_of_a_source_that_is_over_are_nobodys(clip: Path, make_source: MakeSource) -> None:
    source = make_source(clip)
    outcome = await read(source)
    assert source.use_masks([LEFT]) == 1
    assert outcome.error is None


async def test_a_decoder_that_does_not_listen_is_stopped(clip: Path, make_source: MakeSource) -> None:
    source = make_source(clip, slots=1)
    frames = source.frames()
    async with asyncio.timeout(DEADLINE):
        frame = await anext(frames)
        assert source.pid is not None
        os.kill(source.pid, signal.SIGSTOP)
        corners = tuple((one / 40, (one * 7 % 40) / 40) for one in range(32))
        for _ in range(2000):
            source.use_masks([Mask(corners)] * 16)
        frame.release()
        with pytest.raises(SourceError, match="privacyMasks cannot be handed to the decoder"):
            await anext(frames)
    await source.close()


async def test_a_mask_that_the_decoder_cannot_use_ends_the_source(clip: Path, make_source: MakeSource) -> None:
    # None that came through the API: its polygon leaves the picture.
    outside = Mask(((0.0, 0.0), (2.0, 0.0), (1.0, 1.0)))
    source = make_source(clip, slots=2)

    def spoil(frame: Frame) -> None:
        if frame.index == 5:
            source.use_masks([outside])

    outcome = await read(source, spoil)
    assert outcome.failure.code is ErrorCode.INTERNAL
    assert "privacyMasks cannot be burnt into the picture" in outcome.failure.message
    assert max(outcome.indexes) < 9, "no frame is delivered without it"


def test_a_mask_that_cannot_be_burnt_in_is_an_error_and_no_picture() -> None:
    writer = PictureWriter(32, 24)
    writer.use([Mask(((float("nan"), 0.0), (1.0, 0.0), (1.0, 1.0)))])
    layout = RingLayout(64, 48, 32, 24, 1)
    slot = layout.views(np.zeros(layout.total_bytes, np.uint8), 0)
    with pytest.raises(SourceError, match="privacyMasks cannot be burnt into the picture"):
        writer.write(av.VideoFrame(64, 48, "yuv420p"), slot)


def test_a_picture_with_odd_sides_is_masked_to_its_edges() -> None:
    writer = PictureWriter(32, 24)
    writer.use([WHOLE])
    layout = RingLayout(63, 47, 32, 24, 1)
    slot = layout.views(np.full(layout.total_bytes, 99, np.uint8), 0)
    writer.write(av.VideoFrame(63, 47, "yuv420p"), slot)
    assert (slot.y == BLACK).all()
    assert (slot.u == 128).all()
    assert slot.tensor.max() == 0


def test_nothing_under_a_mask_reaches_the_tensor_however_it_is_scaled() -> None:
    """Two pictures that differ under the mask alone give the same tensor and the same planes."""
    random = np.random.default_rng(7)
    tensors = []
    for _ in range(2):
        picture = np.full((48 * 3 // 2, 64), 100, np.uint8)
        picture[:48, 20:45] = random.integers(16, 235, (48, 25), np.uint8)
        writer = PictureWriter(25, 19)
        writer.use([Mask(((20 / 64, 0.0), (45 / 64, 0.0), (45 / 64, 1.0), (20 / 64, 1.0)))])
        layout = RingLayout(64, 48, 25, 19, 1)
        memory = np.zeros(layout.total_bytes, np.uint8)
        writer.write(av.VideoFrame.from_ndarray(picture, "yuv420p"), layout.views(memory, 0))
        tensors.append(memory)
    assert (tensors[0] == tensors[1]).all()
