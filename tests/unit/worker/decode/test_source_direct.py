"""Sources watched as they are: what viewers get decodes to the very pictures of the source."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from av.video.stream import VideoStream

from tests.support.cameras import CLIP, CameraSimulator
from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.directly import Parts, joined, numbers, pictures, seen
from tests.unit.worker.decode.impostor import Impostor, with_ring
from tests.unit.worker.decode.reading import DEADLINE, read
from tests.unit.worker.decode.rtmpserver import rtmp_server
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.masks import Mask
from videofleet_worker.decode.parcel import Parcel, packets
from videofleet_worker.sources.direct import DirectViewer, Farewell, Head, Piece
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource

CORNER = Mask(((0.0, 0.0), (0.1, 0.0), (0.1, 0.1), (0.0, 0.1)))


async def watched(source: StreamSource) -> Parts:
    """What one sees who watches a source from its beginning to its end."""
    with source.direct.enter() as viewer:
        assert (await read(source)).error is None
        return await seen(viewer)


def real_clip(path: Path, container: str, b_frames: int) -> Path:
    """25 pictures of real video, a keyframe every 10."""
    with av.open(str(CLIP)) as original, av.open(str(path), "w", format=container) as output:
        stream = output.add_stream("libx264", rate=10, options={"bf": str(b_frames), "sc_threshold": "0"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 768, 576, "yuv420p"
        stream.codec_context.gop_size = 10
        for frame, _ in zip(original.decode(video=0), range(25), strict=False):
            frame.pict_type = PictureType.NONE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("container", ["mp4", "mpegts", "matroska", "flv"])
async def test_the_pictures_are_those_of_the_source(
    make_source: MakeSource, tmp_path: Path, container: str, b_frames: int
) -> None:
    clip = real_clip(tmp_path / "clip", container, b_frames)

    head, *pieces = await watched(make_source(clip))

    assert isinstance(head, Head)
    assert head.mime == 'video/mp4; codecs="avc1.64001F"'
    assert len(pieces) == 25, "a message a picture"
    assert [isinstance(piece, Piece) and piece.keyframe for piece in pieces] == [at % 10 == 0 for at in range(25)]
    shown, expected = pictures(joined([head, *pieces])), pictures(clip.read_bytes())
    assert len(shown) == 25
    assert all(np.array_equal(one, other) for one, other in zip(shown, expected, strict=True))


async def test_moving_jpeg_is_passed_on_as_it_is(make_source: MakeSource, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.avi", ClipSpec(codec="mjpeg", container="avi", pixels="yuvj420p", frames=5))

    head, *pieces = await watched(make_source(clip))

    assert head == Head("image/jpeg", b"")
    with av.open(str(clip)) as original:
        packets = [bytes(packet) for packet in original.demux(video=0) if packet.size]
    assert pieces == [Piece(packet, keyframe=True) for packet in packets]


async def test_of_other_codecs_nothing_comes(make_source: MakeSource, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", ClipSpec(codec="libx265"))

    assert await watched(make_source(clip)) == []


async def test_one_who_comes_in_the_middle_begins_with_the_next_keyframe(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=1)
    with source.direct.enter() as first, ExitStack() as later:
        second: list[DirectViewer] = []

        def join(frame: Frame) -> None:
            if frame.index == 5:
                second.append(later.enter_context(source.direct.enter()))

        await read(source, join)
        assert numbers(joined(await seen(first))) == list(range(30))
        (viewer,) = second
        parts = await seen(viewer)
    assert isinstance(parts[0], Head)
    assert numbers(joined(parts)) == list(range(10, 30))


async def test_one_who_comes_when_others_have_left_begins_anew(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=1)
    with ExitStack() as later:
        viewers: list[DirectViewer] = []

        def come_and_go(frame: Frame) -> None:
            if frame.index == 5:
                with source.direct.enter():
                    pass
            if frame.index == 12:
                viewers.append(later.enter_context(source.direct.enter()))

        await read(source, come_and_go)
        (viewer,) = viewers
        head, *pieces = await seen(viewer)
    assert isinstance(head, Head)
    assert numbers(joined([head, *pieces])) == list(range(20, 30))


async def test_where_there_are_masks_nothing_comes(make_source: MakeSource, clip: Path) -> None:
    assert await watched(make_source(clip, masks=(CORNER,))) == []


async def test_a_mask_sends_those_who_watch_home(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=1)
    with source.direct.enter() as first, ExitStack() as later:
        second: list[DirectViewer] = []

        def mask(frame: Frame) -> None:
            if frame.index == 5:
                source.use_masks([CORNER])
            if frame.index == 8:
                second.append(later.enter_context(source.direct.enter()))

        await read(source, mask)
        assert await seen(first) == [], "not even what had come and was not shown yet"
        assert first.farewell is Farewell.MASKED
        (viewer,) = second
        assert await seen(viewer) == [], "the decoder itself hands nothing over"


async def test_it_goes_on_when_the_mask_is_taken_away(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=1, masks=(CORNER,))
    with ExitStack() as later:
        viewers: list[DirectViewer] = []

        def unmask(frame: Frame) -> None:
            if frame.index == 5:
                source.use_masks([])
                viewers.append(later.enter_context(source.direct.enter()))

        await read(source, unmask)
        (viewer,) = viewers
        assert numbers(joined(await seen(viewer))) == list(range(10, 30))


@pytest.mark.parametrize("container", ["flv", "mpegts"])
async def test_a_change_of_size_begins_anew(make_source: MakeSource, tmp_path: Path, container: str) -> None:
    small = make_clip(tmp_path / "small", ClipSpec(container=container, frames=10))
    large = make_clip(tmp_path / "large", ClipSpec(container=container, frames=10, width=128, height=96))
    both = tmp_path / "both"
    # An FLV has a head of 13 bytes, a transport stream none.
    both.write_bytes(small.read_bytes() + large.read_bytes()[13 if container == "flv" else 0 :])

    parts = await watched(make_source(both))

    heads = [at for at, part in enumerate(parts) if isinstance(part, Head)]
    assert heads == [0, 11]
    assert [picture.shape for picture in pictures(joined(parts[:11]))] == [(48, 64)] * 10
    assert [picture.shape for picture in pictures(joined(parts[11:]))] == [(96, 128)] * 10


async def test_a_camera_that_comes_back_begins_anew(make_source: MakeSource) -> None:
    with CameraSimulator(["--cameras", "1"]) as cameras:
        source = make_source(cameras.rtsp("/cam1"))
        with source.direct.enter() as viewer:
            running = asyncio.create_task(read(source))
            async with asyncio.timeout(DEADLINE):
                parts = viewer.parts()
                first = [await anext(parts) for _ in range(12)]
                cameras.fault("/cam1", "resolution")
                later = [part async for part in _until_head(parts)]
                later += [await anext(parts) for _ in range(12)]
            await source.close()
            await running
    shown = pictures(joined(first))
    assert {picture.shape for picture in shown} == {(576, 768)}
    original = {picture.tobytes() for picture in pictures(CLIP.read_bytes())}
    assert {picture.tobytes() for picture in shown} <= original
    assert {picture.shape for picture in pictures(joined(later))} == {(288, 384)}


async def _until_head(parts: AsyncIterator[Head | Piece]) -> AsyncIterator[Head]:
    async for part in parts:
        if isinstance(part, Head):
            yield part
            return


async def test_rtmp(make_source: MakeSource, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.flv", ClipSpec(container="flv", fps=25))
    with rtmp_server(clip.read_bytes()) as port:
        source = make_source(f"rtmp://127.0.0.1:{port}/live/cam")
        with source.direct.enter() as viewer:
            await read(source, enough=20)
            parts = await seen(viewer)
    found = numbers(joined(parts))
    assert len(found) >= 10
    assert found == [(found[0] + at) % 30 for at in range(len(found))]
    assert found[0] % 10 == 0


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([b'{"type":"direct","watch":1,"keyframe":true}'], id="a piece without a size"),
        pytest.param([b'{"type":"direct","watch":1,"size":99999999,"keyframe":true}'], id="a piece too large"),
        pytest.param([b'{"type":"direct","watch":1,"size":3,"keyframe":true}', b"1234"], id="more than was promised"),
        pytest.param([b'{"type":"direct_begins","watch":1,"size":0,"mime":"text/html"}'], id="another media type"),
    ],
)
async def test_a_child_that_lies_is_stopped(said: list[bytes]) -> None:
    impostor = Impostor(with_ring(*said))
    source = StreamSource(SourceRequest("http://camera/", model_size=(32, 24)), slots=4, server=impostor)

    outcome = await read(source)

    assert outcome.failure.message == "the decoder sent what it must not send; it was stopped"
    impostor.close()


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 200_000])
def test_bytes_that_are_too_many_for_a_message_follow_it(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    parcel = Parcel("heading", size)
    for packet in packets(data):
        assert not parcel.complete
        parcel.add(bytes(packet))

    assert parcel.complete
    assert parcel.take() == data


def test_more_bytes_than_were_promised_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 3 bytes"):
        Parcel("heading", 3).add(b"1234")
