"""Each codec by each way that it is sent: by RTSP and RTMP cameras, in playlists, as datagrams, as a file."""

import socket
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.support.programs import free_port
from tests.unit.worker.decode.clips import ClipSpec, encoded_by, index_of, make_clip, picture
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import Outcome, read
from tests.unit.worker.decode.rtmpserver import rtmp_server
from tests.unit.worker.decode.rtspcamera import rtsp_camera
from tests.unit.worker.decode.test_source_formats import sent
from tests.unit.worker.decode.webserver import Page, WebServer
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.events import Opened, SourceEvent

H264, HEVC, VP9, AV1, JPEG, MPEG4 = "libx264", "libx265", "libvpx-vp9", "libsvtav1", "mjpeg", "mpeg4"
DECODERS = {H264: "h264", HEVC: "hevc", VP9: "vp9", AV1: "libdav1d", JPEG: "mjpeg", MPEG4: "mpeg4"}
# Of brightness from 16 on JPEG makes the values from 0 on, and 255 of 235.
WIDENED = 255 / 219


def spec_of(codec: str, container: str, frames: int = 60) -> ClipSpec:
    pixels = "yuvj420p" if codec == JPEG else "yuv420p"
    return ClipSpec(codec=codec, container=container, pixels=pixels, width=128, height=96, fps=25, frames=frames)


def shown(outcome: Outcome, codec: str) -> list[int]:
    """The numbers that the pictures say."""
    if codec != JPEG:
        return [index_of(mean) for mean in outcome.means]
    return [index_of(16 + mean / WIDENED) for mean in outcome.means]


def check_live(outcome: Outcome, codec: str, events: list[SourceEvent]) -> None:
    """Pictures came whole, in order, and as what they are."""
    assert outcome.error is None
    assert set(outcome.sizes) == {(128, 96)}
    assert outcome.indexes == sorted(set(outcome.indexes))
    assert outcome.times == sorted(set(outcome.times))
    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert (opened.info.live, opened.info.codec) == (True, DECODERS[codec])


@pytest.mark.parametrize("codec", [H264, HEVC, VP9, AV1, JPEG, MPEG4])
async def test_a_camera(make_source: MakeSource, events: list[SourceEvent], codec: str) -> None:
    with rtsp_camera(spec_of(codec, "rtp")) as port:
        outcome = await read(make_source(f"rtsp://127.0.0.1:{port}/1", transport="tcp"), enough=20)

    check_live(outcome, codec, events)
    numbers = shown(outcome, codec)
    assert numbers == sorted(set(numbers))


def in_pieces(folder: Path, codec: str, kind: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents: a playlist, and pieces of a second in MP4 or in a transport stream."""
    spec, options = spec_of(codec, "hls"), {"hls_time": "1", "hls_playlist_type": "vod", "hls_segment_type": kind}
    with av.open(str(folder / "list.m3u8"), "w", format="hls", options=options) as output:
        stream = encoded_by(output, spec)
        for index in range(spec.frames):
            output.mux(stream.encode(picture(index, spec)))
        output.mux(stream.encode(None))
    return ((file.name, file.read_bytes()) for file in folder.iterdir())


@pytest.mark.parametrize(
    ("codec", "kind"),
    [(codec, "fmp4") for codec in (H264, HEVC, VP9, AV1, MPEG4)] + [(codec, "mpegts") for codec in (H264, HEVC)],
)
async def test_pieces_of_a_playlist(
    make_source: MakeSource, web: WebServer, events: list[SourceEvent], tmp_path: Path, codec: str, kind: str
) -> None:
    folder = f"/{codec}-{kind}"
    web.pages |= {f"{folder}/{name}": Page(content) for name, content in in_pieces(tmp_path, codec, kind)}

    outcome = await read(make_source(web.url(f"{folder}/list.m3u8")))

    assert (outcome.error, outcome.indexes, shown(outcome, codec)) == (None, list(range(60)), list(range(60)))
    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert (opened.info.live, opened.info.codec, opened.info.total_frames) == (False, DECODERS[codec], 60)


@pytest.mark.parametrize("codec", [HEVC, VP9, AV1])
async def test_rtmp(make_source: MakeSource, events: list[SourceEvent], tmp_path: Path, codec: str) -> None:
    """As Enhanced RTMP has them."""
    clip = make_clip(tmp_path / "clip.flv", spec_of(codec, "flv", frames=30))
    with rtmp_server(clip.read_bytes()) as port:
        outcome = await read(make_source(f"rtmp://127.0.0.1:{port}/live/cam"), enough=10)

    check_live(outcome, codec, events)
    assert set(shown(outcome, codec)) <= set(range(30))


@pytest.fixture
def port() -> int:
    return free_port(socket.SOCK_DGRAM)


@pytest.mark.parametrize("codec", [HEVC, MPEG4])
async def test_datagrams(
    make_source: MakeSource, events: list[SourceEvent], tmp_path: Path, codec: str, port: int
) -> None:
    clip = make_clip(tmp_path / "clip.ts", spec_of(codec, "mpegts", frames=30))
    with sent(clip, port):
        outcome = await read(make_source(f"udp://0.0.0.0:{port}", dialer=Dialer()), enough=10)

    check_live(outcome, codec, events)
    assert set(shown(outcome, codec)) <= set(range(30))


@pytest.mark.parametrize(
    ("codec", "container"),
    [(HEVC, "mp4"), (VP9, "webm"), (AV1, "mp4"), (MPEG4, "mp4"), (JPEG, "avi"), (H264, "matroska"), (H264, "flv")],
)
async def test_a_file_over_http(
    make_source: MakeSource, web: WebServer, tmp_path: Path, codec: str, container: str
) -> None:
    clip = make_clip(tmp_path / "clip", spec_of(codec, container))
    web.pages[f"/{codec}.{container}"] = Page(clip.read_bytes())

    outcome = await read(make_source(web.url(f"/{codec}.{container}")))

    assert (outcome.error, outcome.indexes, shown(outcome, codec)) == (None, list(range(60)), list(range(60)))
