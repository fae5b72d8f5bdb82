"""Sources whose packets the parent decodes: real children demux them, FFmpeg's decoder on the processor stands in for
the GPU's behind the same interface."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from av.codec.hwaccel import HWAccel

from tests.support.cameras import CameraSimulator
from tests.unit.worker.decode.clips import ClipSpec, cut_in_frame, damage_frame, index_of, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.impostor import OPENED, RING, Impostor, frame_packet, plainly
from tests.unit.worker.decode.reading import DEADLINE, Outcome, read
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.masks import Mask
from videofleet_worker.decode.messages import HandOver
from videofleet_worker.decode.part import Part
from videofleet_worker.decode.sampling import Sampling
from videofleet_worker.device.host import HostDevice
from videofleet_worker.sources.errors import Lost
from videofleet_worker.sources.ondevice import DecodeStation, PacketDecoder
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource

STATION = DecodeStation(HostDevice(), accelerator=None)
HAND_OVER = b'{"type":"handover","codec":"h264","extradata":"","width":64,"height":48,"time_base":[1,10]}'
BEYOND = b'{"type":"packet","start":8388608,"size":1,"pts":0,"dts":0,"keyframe":true,"arrival":1.0,"skipped":0}'
LEFT = Mask(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))


async def pixels(source: object, on_device: bool) -> tuple[Outcome, list[list[np.ndarray]]]:
    """What came, and every plane of it."""
    planes: list[list[np.ndarray]] = []

    def look(frame: Frame) -> None:
        assert (frame.picture is not None) == on_device
        assert (frame.tensor is None) == on_device
        planes.append([plane.copy() for plane in frame.planes])

    return await read(source, look), planes  # type: ignore[arg-type]  # what make_source made


async def both(make_source: MakeSource, clip: Path | str, **options: object) -> tuple[Outcome, Outcome]:
    """A source decoded by its child, and by the parent: the same frames, pixel by pixel."""
    child, by_child = await pixels(make_source(clip, **options), False)
    own, by_parent = await pixels(make_source(clip, station=STATION, **options), True)
    assert len(by_child) == len(by_parent)
    for one, other in zip(by_child, by_parent, strict=True):
        assert all(map(np.array_equal, one, other))
    return child, own


@pytest.mark.parametrize(
    "spec",
    [
        ClipSpec(),
        ClipSpec(codec="libx265"),
        ClipSpec(codec="libvpx-vp9", container="webm"),
        ClipSpec(container="mpegts"),
        ClipSpec(width=1920, height=1080, frames=12, fps=30),
    ],
    ids=["h264", "hevc", "vp9", "ts", "1080p"],
)
async def test_the_parent_decodes_the_very_frames_of_the_child(
    make_source: MakeSource, tmp_path: Path, spec: ClipSpec
) -> None:
    child, own = await both(make_source, make_clip(tmp_path / "clip", spec))
    assert own == child
    assert own.error is None
    assert len(own.indexes) == spec.frames


@pytest.mark.parametrize(
    "options",
    [
        {"sampling": Sampling("fps", 4)},
        {"sampling": Sampling("interval", 7)},
        {"sampling": Sampling("keyframe")},
        {"part": Part(0.5, 1.4, "seconds")},
        {"part": Part(5, 9, "frames")},
        {"max_frames": 4},
        {"resume_after_frame": 20},
        {"slots": 2},
    ],
    ids=str,
)
async def test_what_is_left_out_is_the_same(make_source: MakeSource, clip: Path, options: dict[str, object]) -> None:
    child, own = await both(make_source, clip, **options)
    assert own == child
    assert own.indexes


async def test_counters_are_the_same(make_source: MakeSource, clip: Path) -> None:
    by_child, by_parent = (make_source(clip, sampling=Sampling("fps", 3), station=one) for one in (None, STATION))
    await read(by_child)
    await read(by_parent)
    assert by_parent.counters.dropped == by_child.counters.dropped
    assert by_parent.counters.behind == by_child.counters.behind
    assert by_parent.info == by_child.info


@pytest.mark.parametrize("harm", [cut_in_frame, damage_frame], ids=["cut", "damaged"])
async def test_a_file_that_is_not_whole_ends_as_it_does_in_a_child(
    make_source: MakeSource, tmp_path: Path, harm: Callable[[Path, int], None]
) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    harm(path, 14)
    child, own = await both(make_source, path)
    assert own.indexes == child.indexes
    assert str(own.error) == str(child.error)


async def test_masks_hide_the_same(make_source: MakeSource, clip: Path) -> None:
    for blur in (False, True):
        await both(make_source, clip, masks=(Mask(LEFT.corners, blur),))


async def test_a_model_sees_no_more_than_a_child_would_show_it(make_source: MakeSource, clip: Path) -> None:
    def look(frame: Frame) -> None:
        assert frame.picture is not None
        assert set(np.unique(frame.picture.luma[:, :32])) == {126}
        assert set(np.unique(frame.picture.blue[:, :16])) == {128}
        assert set(np.unique(frame.picture.luma[:, 32:])) != {126} or index_of(126) == frame.index

    outcome = await read(make_source(clip, station=STATION, masks=(Mask(LEFT.corners, blur=True),)), look)
    assert outcome.error is None


async def test_masks_change_on_a_running_source(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, station=STATION, slots=2)
    seen: list[tuple[int, int]] = []
    async with asyncio.timeout(DEADLINE):
        async for frame in source.frames():
            with frame:
                seen.append((frame.masks, int(frame.planes[0][:, :32].max())))
            if len(seen) == 5:
                source.use_masks([LEFT])
    assert {masks for masks, _ in seen} == {0, 1}
    assert all(left == 16 for masks, left in seen if masks == 1)
    await source.close()


async def test_a_held_frame_keeps_its_pixels(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, station=STATION, slots=3)
    frames = source.frames()
    first = await anext(frames)
    for _ in range(10):
        (await anext(frames)).release()
    assert index_of(float(first.planes[0].mean())) == first.index == 0
    first.release()
    await source.close()


@pytest.mark.parametrize(
    "spec",
    [ClipSpec(codec="mjpeg", pixels="yuvj420p"), ClipSpec(pixels="yuv444p"), ClipSpec(width=66, height=50)],
    ids=["codec", "layout", "even"],
)
async def test_what_the_gpu_does_not_take_stays_with_the_child(
    make_source: MakeSource, tmp_path: Path, spec: ClipSpec
) -> None:
    path = make_clip(tmp_path / "clip.mp4", spec)
    outcome, _ = await pixels(make_source(path, station=STATION), on_device=spec.pixels == "yuv420p")
    assert outcome.error is None
    assert len(outcome.indexes) == 30


async def test_what_is_turned_stays_with_the_child(make_source: MakeSource, clip: Path) -> None:
    outcome, _ = await pixels(make_source(clip, station=STATION, rotation=90), on_device=False)
    assert outcome.sizes[0] == (48, 64)
    assert outcome.indexes == list(range(30))


async def test_without_the_gpus_decoder_the_child_decodes(make_source: MakeSource, clip: Path) -> None:
    """The accelerator of a machine that has no GPU: its context cannot be made."""
    lost = DecodeStation(HostDevice(), HWAccel("cuda", allow_software_fallback=False, is_hw_owned=True))
    outcome, _ = await pixels(make_source(clip, station=lost), on_device=False)
    assert outcome.error is None
    assert outcome.indexes == list(range(30))


async def test_a_codec_that_no_gpu_knows_is_never_decoded_here_instead(make_source: MakeSource, clip: Path) -> None:
    """PyAV takes FFmpeg's own decoder where the accelerator has none, which is for confined children alone."""
    other = DecodeStation(HostDevice(), HWAccel("drm", allow_software_fallback=False, is_hw_owned=True))
    outcome, _ = await pixels(make_source(clip, station=other), on_device=False)
    assert outcome.error is None
    assert outcome.indexes == list(range(30))


class Refusing(DecodeStation):
    """One whose decoder takes a stream and makes an error of each packet, as NVDEC of what it does not support."""

    def open(self, handed: HandOver) -> PacketDecoder:
        return super().open(handed.model_copy(update={"codec": "hevc", "extradata": ""}))


REFUSING = Refusing(HostDevice(), accelerator=None)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling("keyframe")], ids=["all", "keyframes"])
async def test_what_the_gpus_decoder_makes_nothing_of_is_left_to_the_child(
    make_source: MakeSource, tmp_path: Path, sampling: Sampling
) -> None:
    path = make_clip(tmp_path / "clip.mp4", ClipSpec(frames=60))
    child, _ = await pixels(make_source(path, sampling=sampling), on_device=False)
    outcome, _ = await pixels(make_source(path, sampling=sampling, station=REFUSING), on_device=False)
    assert outcome.error is None
    assert outcome.indexes == child.indexes


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    with CameraSimulator(["--cameras", "1"]) as simulator:
        yield simulator.rtsp("/cam1")


async def test_a_camera_that_the_gpus_decoder_makes_nothing_of_is_left_to_the_child(
    make_source: MakeSource, camera: str
) -> None:
    """It has no end at which that would show."""

    def look(frame: Frame) -> None:
        assert frame.picture is None

    outcome = await read(make_source(camera, station=REFUSING), look, enough=5)
    assert outcome.error is None
    assert len(outcome.indexes) == 5


async def test_a_camera_is_decoded_as_it_comes(make_source: MakeSource, camera: str) -> None:
    taken: list[float] = []
    source = make_source(camera, station=STATION)
    outcome = await read(source, lambda frame: taken.append(frame.arrival), enough=12)
    assert outcome.error is None
    assert outcome.indexes == sorted(set(outcome.indexes))
    assert taken[-1] - taken[0] == pytest.approx(outcome.times[-1] - outcome.times[0], abs=0.15)


async def test_a_child_that_is_killed_is_replaced_by_one_that_hands_over_too(
    make_source: MakeSource, camera: str
) -> None:
    source = make_source(camera, station=STATION)

    def look(frame: Frame) -> None:
        assert frame.picture is not None
        if frame.index == 5:
            assert source.pid is not None
            os.kill(source.pid, signal.SIGKILL)

    outcome = await read(source, look, enough=12)

    assert outcome.error is None
    assert source.counters.decoders_lost == {Lost.CRASH: 1}


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param((HAND_OVER, RING), id="a ring in the memory of the packets"),
        pytest.param((HAND_OVER, frame_packet(0, 0, "0.0")), id="a frame of a slot on the device"),
        pytest.param((RING, HAND_OVER), id="packets in the memory of the frames"),
        pytest.param((HAND_OVER, HAND_OVER), id="handed over twice"),
        pytest.param((HAND_OVER.replace(b"h264", b"av1"),), id="a codec that was not asked for"),
        pytest.param((HAND_OVER, BEYOND), id="a packet beyond its memory"),
        pytest.param((BEYOND,), id="a packet without a hand-over"),
    ],
)
async def test_a_child_that_lies_of_packets_is_stopped(packets: tuple[bytes, ...]) -> None:
    impostor = Impostor(plainly(OPENED, *packets))
    request = SourceRequest("http://camera/", model_size=(32, 24))

    outcome = await read(StreamSource(request, server=impostor, station=STATION))

    assert outcome.failure.code is ErrorCode.INTERNAL
    assert outcome.failure.message == "the decoder sent what it must not send; it was stopped"
    impostor.close()
