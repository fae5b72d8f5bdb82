"""Recorded files, read by real children."""

import threading
from pathlib import Path

import numpy as np
import pytest

from tests.unit.worker.decode.clips import (
    ClipSpec,
    brightness,
    cut_in_frame,
    damage_frame,
    encode_audio,
    index_of,
    make_clip,
)
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import eventually, read
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.sampling import Sampling
from videofleet_worker.sources.events import Opened, SourceEvent, SourceInfo


async def test_every_frame_comes_once_and_in_order(
    make_source: MakeSource, clip: Path, events: list[SourceEvent]
) -> None:
    source = make_source(clip)

    outcome = await read(source)

    assert outcome.error is None
    assert outcome.indexes == list(range(30))
    assert [index_of(mean) for mean in outcome.means] == list(range(30))
    assert outcome.times == [round(index / 10, 3) for index in range(30)]
    assert outcome.keyframes == [0, 10, 20]
    told = SourceInfo(live=False, fps=10.0, width=64, height=48, codec="h264", total_frames=30, duration=3.0)
    assert source.info == told
    assert events == [Opened(source.info)]
    assert (source.counters.decoded_frames, source.counters.dropped, source.counters.reconnects) == (30, {}, 0)


async def test_a_frame_holds_its_planes_and_the_stretched_tensor(make_source: MakeSource, clip: Path) -> None:
    seen: list[Frame] = []

    def look(frame: Frame) -> None:
        seen.append(frame)
        y, u, v = frame.planes
        assert (y.shape, u.shape, v.shape) == ((48, 64), (24, 32), (24, 32))
        assert frame.tensor.shape == (3, 24, 32)
        assert frame.tensor.dtype == np.uint8
        assert not frame.tensor.flags.writeable
        grey = (brightness(frame.index) - 16) * 255 / 219
        assert np.abs(frame.tensor.astype(float) - grey).max() <= 3
        assert not frame.full_range

    await read(make_source(clip, sampling=Sampling("interval", 7)), look)

    assert [frame.index for frame in seen] == [0, 7, 14, 21, 28]


async def test_the_tensor_is_red_green_blue(make_source: MakeSource, tmp_path: Path) -> None:
    path = _one_colour(tmp_path / "red.avi", (220, 30, 60))
    colours: list[list[int]] = []

    await read(make_source(path), lambda frame: colours.append([int(plane.mean()) for plane in frame.tensor]))

    assert np.abs(np.array(colours[0]) - (220, 30, 60)).max() <= 4


@pytest.mark.acceptance("V28", "V29", "V30", "V57")
@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling("fps", 5), list(range(0, 30, 2))),
        (Sampling("fps", 4), [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28]),
        (Sampling("fps", 100), list(range(30))),
        (Sampling("fps", 0.5), [0, 20]),
        (Sampling("interval", 12), [0, 12, 24]),
        (Sampling("keyframe"), [0, 10, 20]),
    ],
    ids=str,
)
async def test_sampling(make_source: MakeSource, clip: Path, sampling: Sampling, expected: list[int]) -> None:
    source = make_source(clip, sampling=sampling)

    outcome = await read(source)

    assert outcome.indexes == expected
    assert [index_of(mean) for mean in outcome.means] == expected
    assert source.counters.dropped.get("sampling", 0) == 30 - len(expected)
    assert source.counters.decoded_frames + source.counters.passed_frames == 30


async def test_resuming_keeps_numbers_times_and_the_sampling_grid(make_source: MakeSource, clip: Path) -> None:
    outcome = await read(make_source(clip, sampling=Sampling("interval", 4), resume_after_frame=13))

    assert outcome.indexes == [16, 20, 24, 28]
    assert outcome.times == [1.6, 2.0, 2.4, 2.8]


@pytest.mark.acceptance("V35", "A18")
async def test_max_frames_counts_sampled_frames(make_source: MakeSource, clip: Path) -> None:
    outcome = await read(make_source(clip, sampling=Sampling("interval", 4), max_frames=3))

    assert (outcome.error, outcome.indexes) == (None, [0, 4, 8])


@pytest.mark.parametrize(
    "spec",
    [
        ClipSpec(codec="mpeg4", container="avi"),
        ClipSpec(codec="mjpeg", container="matroska", pixels="yuvj420p"),
        ClipSpec(container="mpegts"),
        ClipSpec(pixels="yuv444p"),
        ClipSpec(width=66, height=50),
    ],
    ids=["avi", "matroska-mjpeg", "mpegts", "444", "unaligned"],
)
async def test_containers_and_pixel_formats(make_source: MakeSource, tmp_path: Path, spec: ClipSpec) -> None:
    outcome = await read(make_source(make_clip(tmp_path / "clip", spec)))

    assert outcome.error is None
    assert outcome.indexes == list(range(30))
    assert set(outcome.sizes) == {(spec.width, spec.height)}
    # Full range or limited, each frame is brighter than the one before by about the same.
    steps = np.diff(outcome.means)
    assert ((steps > 2) & (steps < 4.5)).all()


async def test_another_size_in_mid_stream(make_source: MakeSource, tmp_path: Path) -> None:
    small = make_clip(tmp_path / "small.ts", ClipSpec(container="mpegts", frames=10))
    large = make_clip(tmp_path / "large.ts", ClipSpec(container="mpegts", frames=10, width=96, height=64))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    source = make_source(both)

    outcome = await read(source)

    assert outcome.sizes == [(64, 48)] * 10 + [(96, 64)] * 10
    assert [index_of(mean) for mean in outcome.means] == [*range(10), *range(10)]
    assert outcome.times == sorted(set(outcome.times))
    assert source.info is not None
    assert (source.info.width, source.info.height) == (96, 64)


async def test_a_slow_consumer_loses_nothing(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=2, stall_timeout=0.2)
    held: list[Frame] = []
    indexes: list[int] = []
    async for frame in source.frames():
        indexes.append(frame.index)
        held.append(frame)
        if len(held) == 2 and len(indexes) < 6:
            # All slots are held for longer than the stall timeout: the child waits, and is not taken for hung.
            ran_out = _after(0.5)
            await eventually(ran_out.is_set, "half a second is over")
            assert [index_of(float(f.planes[0].mean())) for f in held] == indexes[-2:]
        if len(held) == 2:
            while held:
                held.pop().release()

    assert indexes == list(range(30))


async def test_release_may_be_called_twice_and_from_another_thread(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=1)
    indexes: list[int] = []
    async for frame in source.frames():
        indexes.append(frame.index)
        releasing = threading.Thread(target=frame.release)
        releasing.start()
        releasing.join()
        frame.release()

    assert indexes == list(range(30))


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("text.mp4", b"this is text, line by line\n" * 500, ErrorCode.UNSUPPORTED, "not a video"),
        ("text.txt", b"this is text, line by line\n" * 500, ErrorCode.UNSUPPORTED, "not a video"),
        ("zeros.mp4", bytes(100_000), ErrorCode.UNSUPPORTED, "not a video"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:3,\nclip.mp4\n#EXT-X-ENDLIST\n", ErrorCode.UNSUPPORTED, "not a video"),
        ("empty.mp4", b"", ErrorCode.EMPTY, "the file is empty"),
        ("sound.mp4", encode_audio(), ErrorCode.UNSUPPORTED, "no video in the source, only audio"),
    ],
)
async def test_what_is_no_video(
    make_source: MakeSource, tmp_path: Path, name: str, content: bytes, code: ErrorCode, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    outcome = await read(make_source(path))

    assert outcome.failure.code is code
    assert said in outcome.failure.message
    assert outcome.indexes == []


async def test_a_missing_file(make_source: MakeSource, tmp_path: Path) -> None:
    assert (await read(make_source(tmp_path / "no.mp4"))).failure.code is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc/hostname", ErrorCode.FORBIDDEN),
        ("ftp://camera/clip.mp4", ErrorCode.UNSUPPORTED),
        ("rtsp:///path", ErrorCode.UNSUPPORTED),
        ("rtsp://camera:99999/path", ErrorCode.UNSUPPORTED),
        ("https://camera:99999/clip.mp4", ErrorCode.UNSUPPORTED),
    ],
)
async def test_addresses_that_are_never_opened(make_source: MakeSource, url: str, code: ErrorCode) -> None:
    assert (await read(make_source(url))).failure.code is code


async def test_a_link_does_not_lead_out_of_the_allowed_folder(make_source: MakeSource, tmp_path: Path) -> None:
    link = tmp_path / "inside.mp4"
    link.symlink_to("/etc/hostname")

    assert (await read(make_source(link))).failure.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize("spec", [ClipSpec(), ClipSpec(codec="mpeg4", container="avi")], ids=["mp4", "avi"])
async def test_a_truncated_file(make_source: MakeSource, tmp_path: Path, spec: ClipSpec) -> None:
    path = make_clip(tmp_path / "clip", spec)
    cut_in_frame(path, 18)

    outcome = await read(make_source(path))

    assert outcome.failure.code is ErrorCode.CODEC
    assert "file ends at frame 19 of 30" in outcome.failure.message
    assert outcome.indexes == list(range(18))


async def test_damage_in_the_middle_is_counted_and_skipped(make_source: MakeSource, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", ClipSpec(gop=1))
    damage_frame(path, 11)
    damage_frame(path, 29)
    source = make_source(path)

    outcome = await read(source)

    assert outcome.error is None
    assert outcome.indexes == [index for index in range(30) if index not in (11, 29)]
    assert [index_of(mean) for mean in outcome.means] == outcome.indexes
    assert source.counters.dropped == {"decode_error": 2}


async def test_nothing_but_damage(make_source: MakeSource, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", ClipSpec(gop=1, frames=3))
    for index in range(3):
        damage_frame(path, index)

    outcome = await read(make_source(path))

    assert outcome.failure.code is ErrorCode.CODEC
    assert outcome.failure.message == "none of the 3 pictures of the source could be decoded"


def _one_colour(path: Path, colour: tuple[int, int, int]) -> Path:
    import av

    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        pixels = np.empty((48, 64, 3), np.uint8)
        pixels[:] = colour
        output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def _after(seconds: float) -> threading.Event:
    over = threading.Event()
    timer = threading.Timer(seconds, over.set)
    timer.daemon = True
    timer.start()
    return over
