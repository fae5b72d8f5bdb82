"""What cameras and files bring: codecs, containers, pictures that lie on their side or come in halves or change."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from tests.support.datagrams import in_pieces, sending
from tests.support.programs import free_port
from tests.unit.simulator.certificates import write_certificate
from tests.unit.worker.decode.clips import ClipSpec, brightness, index_of, make_clip, picture
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import read
from tests.unit.worker.decode.rtmpserver import rtmp_server
from videofleet_api.codes import ErrorCode
from videofleet_api.source import SourcePolicy
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.part import Part
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.events import Opened, SourceEvent
from videofleet_worker.sources.reach import Reach


@pytest.mark.parametrize(
    ("codec", "container", "decoder"),
    [
        ("libx264", "mp4", "h264"),
        ("libx264", "mpegts", "h264"),
        ("libx264", "matroska", "h264"),
        ("libx264", "avi", "h264"),
        ("libx264", "flv", "h264"),
        ("libx265", "mp4", "hevc"),
        ("libvpx-vp9", "webm", "libvpx-vp9"),
        ("libsvtav1", "mp4", "libdav1d"),
        ("mjpeg", "avi", "mjpeg"),
        ("mpeg4", "mp4", "mpeg4"),
        ("mpeg2video", "mpegts", "mpeg2video"),
    ],
)
async def test_codecs(
    make_source: MakeSource, tmp_path: Path, events: list[SourceEvent], codec: str, container: str, decoder: str
) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    # MPEG-2 knows a few rates only, and encoders of AV1 small pictures not.
    spec = ClipSpec(codec=codec, container=container, pixels=pixels, width=128, height=96, fps=25)
    path = make_clip(tmp_path / f"clip.{container}", spec)

    outcome = await read(make_source(path))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))
    assert set(outcome.sizes) == {(128, 96)}
    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert opened.info.codec in (decoder, decoder.removeprefix("lib"), "vp9", "av1")
    assert not opened.info.live


@pytest.mark.parametrize("sizes", [((64, 48), (128, 96)), ((128, 96), (64, 48))])
async def test_another_resolution_in_mid_stream(
    make_source: MakeSource, tmp_path: Path, sizes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    parts = [
        make_clip(tmp_path / f"{width}.ts", ClipSpec(container="mpegts", width=width, height=height, frames=10))
        for width, height in sizes
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))

    outcome = await read(make_source(both))

    assert outcome.error is None
    assert outcome.sizes == [sizes[0]] * 10 + [sizes[1]] * 10
    assert outcome.indexes == list(range(20))
    assert outcome.times == sorted(set(outcome.times))


async def test_frames_at_no_even_pace(make_source: MakeSource, tmp_path: Path) -> None:
    path, stamps = tmp_path / "uneven.mp4", [0, 100, 140, 900, 910, 2500, 2540]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"bf": "0"}
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index, stamp in enumerate(stamps):
            frame = picture(index, ClipSpec())
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))

    outcome = await read(make_source(path))

    assert (outcome.error, outcome.indexes) == (None, list(range(7)))
    assert outcome.times == pytest.approx([stamp / 1000 for stamp in stamps], abs=0.002)


def _half_dark(path: Path) -> Path:
    """A clip whose left half is dark and whose right half is bright."""
    planes = np.full((72, 64), 128, np.uint8)
    planes[:48, :32], planes[:48, 32:] = 40, 200
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _lay_down(path: Path) -> None:
    """Have the container say that pictures are to be turned by 90 degrees clockwise, as telephones write it."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    turned = [0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 1 << 30]
    content[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in turned)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("said_by_container", "rotation", "size", "dark"),
    [
        (False, None, (64, 48), "left"),
        (False, 90, (48, 64), "top"),
        (False, 180, (64, 48), "right"),
        (False, 270, (48, 64), "bottom"),
        (True, None, (48, 64), "top"),
        (True, 0, (64, 48), "left"),
    ],
)
async def test_pictures_are_turned_upright(
    make_source: MakeSource,
    tmp_path: Path,
    said_by_container: bool,
    rotation: int | None,
    size: tuple[int, int],
    dark: str,
) -> None:
    path = _half_dark(tmp_path / "clip.mp4")
    if said_by_container:
        _lay_down(path)
    halves: list[str] = []

    def look(frame: Frame) -> None:
        luma = frame.planes[0]
        height, width = luma.shape
        parts = {
            "left": luma[:, : width // 2],
            "right": luma[:, width // 2 :],
            "top": luma[: height // 2],
            "bottom": luma[height // 2 :],
        }
        halves.append(min(parts, key=lambda name: float(parts[name].mean())))

    outcome = await read(make_source(path, rotation=rotation), look)

    assert (outcome.error, set(outcome.sizes), set(halves)) == (None, {size}, {dark})
    assert outcome.indexes == [0, 1, 2, 3, 4]


async def test_pictures_that_come_in_halves_are_made_whole(make_source: MakeSource, tmp_path: Path) -> None:
    """Two fields of a bar that moves between them: combed unless they are put together with care."""
    path = tmp_path / "interlaced.ts"
    with av.open(str(path), "w", format="mpegts") as output:
        stream = output.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.options = {"x264-params": "tff=1:bframes=0", "flags": "+ildct+ilme"}
        for index in range(12):
            planes = np.full((144, 128), 128, np.uint8)
            planes[:96] = 40
            for parity in (0, 1):
                left = 8 * index + 4 * parity
                planes[parity:96:2, left : left + 16] = 220
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    combs: list[float] = []

    def look(frame: Frame) -> None:
        luma = frame.planes[0].astype(int)
        combs.append(float(np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:]).mean()))

    with av.open(str(path)) as raw:
        first = next(raw.decode(video=0))
        assert first.interlaced_frame
        luma = first.to_ndarray()[:96].astype(int)
        combed = float(np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:]).mean())
    outcome = await read(make_source(path), look)

    assert (outcome.error, outcome.indexes) == (None, list(range(12)))
    assert max(combs[1:-1]) < combed / 2


@pytest.mark.acceptance("V32", "V33", "V34", "V101")
@pytest.mark.parametrize(
    ("part", "indexes"),
    [
        (Part(0, None, "seconds"), range(30)),
        (Part(1.0, 2.0, "seconds"), range(10, 20)),
        (Part(1.05, None, "seconds"), range(11, 30)),
        (Part(5, 9, "frames"), range(5, 9)),
        (Part(28, None, "frames"), range(28, 30)),
        (Part(0, 1000, "frames"), range(30)),
    ],
)
async def test_a_part_of_a_file(
    make_source: MakeSource, clip: Path, events: list[SourceEvent], part: Part, indexes: range
) -> None:
    outcome = await read(make_source(clip, part=part))

    assert (outcome.error, outcome.indexes) == (None, list(indexes))
    assert [index_of(mean) for mean in outcome.means] == list(indexes)
    assert outcome.times == pytest.approx([index / 10 for index in indexes])
    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert opened.info.total_frames == pytest.approx(len(indexes), abs=1)


async def test_a_live_source_has_no_parts(make_source: MakeSource) -> None:
    outcome = await read(make_source("test://pattern?width=64&height=48", part=Part(1, 2, "seconds")))

    assert outcome.failure.code is ErrorCode.BAD_PARAMETER
    assert "range is for recorded sources" in outcome.failure.message


async def test_a_file_of_another_folder(make_source: MakeSource, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = make_clip(tmp_path_factory.mktemp("outside") / "clip.mp4")

    outcome = await read(make_source(outside))

    assert outcome.failure.code is ErrorCode.FORBIDDEN
    assert "not below a folder of the pool's mediaMounts" in outcome.failure.message


async def test_a_link_out_of_the_folder(
    make_source: MakeSource, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "link.mp4").symlink_to(make_clip(tmp_path_factory.mktemp("outside") / "clip.mp4"))

    assert (await read(make_source(tmp_path / "link.mp4"))).failure.code is ErrorCode.FORBIDDEN
    assert (await read(make_source(f"file://{tmp_path}/../../etc/passwd"))).failure.code is ErrorCode.FORBIDDEN
    assert (await read(make_source(tmp_path))).failure.code is ErrorCode.FORBIDDEN


@contextmanager
def sent(path: Path, port: int) -> Iterator[None]:
    """The transport stream of a file sent to a port, again and again, as datagrams of seven packets."""
    pieces = in_pieces(path.read_bytes())

    def send(sender: socket.socket, over: threading.Event) -> None:
        for piece in pieces:
            sender.sendto(piece, ("127.0.0.1", port))
            over.wait(0.005)

    with sending(send):
        yield


async def test_a_transport_stream_that_is_sent_here(
    make_source: MakeSource, tmp_path: Path, events: list[SourceEvent]
) -> None:
    path, port = make_clip(tmp_path / "clip.ts", ClipSpec(container="mpegts", fps=25)), free_port(socket.SOCK_DGRAM)
    with sent(path, port):
        outcome = await read(make_source(f"udp://0.0.0.0:{port}", dialer=Dialer()), enough=10)

    assert outcome.error is None
    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert (opened.info.live, opened.info.codec) == (True, "h264")
    assert {round(mean) for mean in outcome.means} <= {brightness(index) for index in range(30)}


async def test_nothing_is_sent(make_source: MakeSource) -> None:
    url = f"udp://0.0.0.0:{free_port(socket.SOCK_DGRAM)}"
    source = make_source(url, dialer=Dialer(), connect_timeout=0.5, stall_timeout=0.5)

    assert (await read(source)).failure.code is ErrorCode.TIMEOUT


@pytest.mark.parametrize(
    ("url", "policy", "code"),
    [
        ("udp://10.0.0.7:5000", {}, ErrorCode.UNSUPPORTED),
        ("udp://camera.example:5000", {}, ErrorCode.UNSUPPORTED),
        ("udp://239.1.2.3", {}, ErrorCode.UNSUPPORTED),
        ("udp://239.1.2.3:5000", {"denied_cidrs": ["239.1.0.0/16"]}, ErrorCode.FORBIDDEN),
        ("udp://239.1.2.3:5000", {"allowed_cidrs": ["10.0.0.0/8"]}, ErrorCode.FORBIDDEN),
        ("udp://0.0.0.0:5000", {"schemes": ["rtsp"]}, ErrorCode.FORBIDDEN),
    ],
)
async def test_where_nothing_is_listened_for(
    make_source: MakeSource, url: str, policy: dict[str, list[str]], code: ErrorCode
) -> None:
    dialer = Dialer(Reach(SourcePolicy.model_validate(policy)))

    assert (await read(make_source(url, dialer=dialer))).failure.code is code


async def test_rtmp(make_source: MakeSource, tmp_path: Path, events: list[SourceEvent]) -> None:
    clip = make_clip(tmp_path / "clip.flv", ClipSpec(container="flv", fps=25))
    with rtmp_server(clip.read_bytes()) as port:
        outcome = await read(make_source(f"rtmp://127.0.0.1:{port}/live/cam"), enough=5)

    assert outcome.error is None
    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert (opened.info.live, opened.info.codec) == (True, "h264")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    return write_certificate(tmp_path)


@pytest.fixture
def front(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Of a server that shows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_rtmps(
    make_source: MakeSource,
    tmp_path: Path,
    events: list[SourceEvent],
    certificate: tuple[Path, Path],
    front: ssl.SSLContext,
) -> None:
    clip = make_clip(tmp_path / "clip.flv", ClipSpec(container="flv", fps=25))
    with rtmp_server(clip.read_bytes(), front) as port:
        source = make_source(f"rtmps://127.0.0.1:{port}/live/cam", ca_file=str(certificate[0]))
        outcome = await read(source, enough=5)

    assert outcome.error is None
    assert {index_of(mean) for mean in outcome.means} <= set(range(30))
    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert (opened.info.live, opened.info.codec) == (True, "h264")


async def test_rtmps_of_a_server_that_nobody_vouches_for(make_source: MakeSource, front: ssl.SSLContext) -> None:
    with rtmp_server(b"", front) as port:
        outcome = await read(make_source(f"rtmps://127.0.0.1:{port}/live/cam"))

    assert outcome.failure.code is ErrorCode.TLS
    assert "certificate" in outcome.failure.message


async def test_rtmp_of_a_forbidden_address(make_source: MakeSource) -> None:
    outcome = await read(make_source("rtmp://127.0.0.1/live/cam", dialer=Dialer()))

    assert outcome.failure.code is ErrorCode.FORBIDDEN
