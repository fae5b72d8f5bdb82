"""Files over HTTP and HLS, from a server that behaves and one that does not."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.unit.simulator.certificates import write_certificate
from tests.unit.worker.decode.clips import ClipSpec, encode_audio, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import read
from tests.unit.worker.decode.webserver import Page, WebServer, encrypted, serving
from videofleet_api.codes import ErrorCode
from videofleet_worker.sources.events import Reconnecting, SourceEvent
from videofleet_worker.sources.reconnect import ReconnectPolicy


@pytest.fixture
def content(clip: Path) -> bytes:
    return clip.read_bytes()


async def test_a_file_over_http(make_source: MakeSource, web: WebServer, content: bytes) -> None:
    web.pages["/clip.mp4"] = Page(content)

    outcome = await read(make_source(web.url("/clip.mp4")))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


async def test_an_index_at_the_end_is_fetched_by_range(make_source: MakeSource, web: WebServer, tmp_path: Path) -> None:
    path = tmp_path / "late.mp4"
    with av.open(str(path), "w") as late, av.open(str(make_clip(tmp_path / "early.mp4"))) as early:
        stream = late.add_stream_from_template(early.streams.video[0])
        for packet in early.demux(video=0):
            if packet.size:
                packet.stream = stream
                late.mux(packet)
    web.pages["/late.mp4"] = Page(path.read_bytes())

    assert (await read(make_source(web.url("/late.mp4")))).indexes == list(range(30))


async def test_a_server_that_loses_patience_is_asked_for_the_rest(
    make_source: MakeSource, web: WebServer, content: bytes
) -> None:
    web.pages["/clip.mp4"] = Page(content, give_up_after=len(content) * 4 // 10)

    outcome = await read(make_source(web.url("/clip.mp4")))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


async def test_a_server_whose_nonces_expire_in_mid_file_is_answered_anew(
    make_source: MakeSource, web: WebServer, content: bytes
) -> None:
    page = Page(content, login="admin:secret", digest=True, expires=True, give_up_after=len(content) * 3 // 10)
    web.pages["/locked.mp4"] = page
    url = web.url("/locked.mp4")

    outcome = await read(make_source(url, username="admin", password="secret"))
    refused = await read(make_source(url, username="admin", password="another"))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))
    assert page.nonces >= 4, "each part had a nonce of its own"
    assert refused.failure.code is ErrorCode.AUTH


async def test_credentials_are_sent_and_never_shown(make_source: MakeSource, web: WebServer, content: bytes) -> None:
    web.pages["/locked.mp4"] = Page(content, login="adm in:p@ss/w:d")
    url = web.url("/locked.mp4")

    allowed = await read(make_source(url, username="adm in", password="p@ss/w:d"))
    refused = await read(make_source(url, username="adm in", password="hunter2"))

    assert (allowed.error, len(allowed.indexes)) == (None, 30)
    assert refused.failure.code is ErrorCode.AUTH
    assert "hunter2" not in str(refused.failure)
    assert refused.failure.__cause__ is None
    assert refused.failure.__context__ is None


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (None, ErrorCode.NOT_FOUND),
        (Page(status=403), ErrorCode.AUTH),
        (Page(status=410), ErrorCode.NOT_FOUND),
        (Page(status=503), ErrorCode.NETWORK),
        (Page(b"<html>log in here</html>" * 100), ErrorCode.UNSUPPORTED),
        (Page(encode_audio()), ErrorCode.UNSUPPORTED),
        (Page(b""), ErrorCode.EMPTY),
        (Page(sized=False), ErrorCode.EMPTY),
        (Page(sized=False, reset=True), ErrorCode.NETWORK),
    ],
    ids=["404", "403", "410", "503", "html", "sound", "nothing", "nothing, and not said so", "broken off"],
)
async def test_what_cannot_be_opened(
    make_source: MakeSource, web: WebServer, page: Page | None, code: ErrorCode
) -> None:
    web.pages.pop("/page", None)
    if page is not None:
        web.pages["/page"] = page

    assert (await read(make_source(web.url("/page")))).failure.code is code


async def test_a_connection_that_breaks_in_the_middle(make_source: MakeSource, web: WebServer, content: bytes) -> None:
    web.pages["/cut.mp4"] = Page(content, cut_after=len(content) * 7 // 10)

    outcome = await read(make_source(web.url("/cut.mp4")))

    assert outcome.failure.code is ErrorCode.NETWORK
    assert outcome.indexes == list(range(len(outcome.indexes)))
    assert len(outcome.indexes) > 3


async def test_a_server_that_falls_silent_in_the_middle(
    make_source: MakeSource, web: WebServer, content: bytes
) -> None:
    web.pages["/hang.mp4"] = Page(content, hang_after=len(content) * 7 // 10)

    outcome = await read(make_source(web.url("/hang.mp4"), stall_timeout=1.0, connect_timeout=30.0))

    assert outcome.failure.code is ErrorCode.STALLED
    assert len(outcome.indexes) > 3


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
async def test_a_server_that_accepts_and_says_nothing(make_source: MakeSource, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/clip"
        outcome = await read(make_source(url, connect_timeout=1.0))

    assert outcome.failure.code is ErrorCode.TIMEOUT


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
async def test_nobody_listens(make_source: MakeSource, scheme: str) -> None:
    # Nobody else gets the port meanwhile, and no connection is taken on it.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = await read(make_source(f"{scheme}://127.0.0.1:{taken.getsockname()[1]}/clip"))

    assert outcome.failure.code is ErrorCode.NETWORK
    assert "connection refused" in outcome.failure.message


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
async def test_a_server_without_tls(make_source: MakeSource, web: WebServer, scheme: str) -> None:
    outcome = await read(make_source(web.url("/clip.mp4").replace("http:", f"{scheme}:")))

    assert outcome.failure.code is ErrorCode.TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def secure_web(certificate: tuple[Path, Path]) -> Iterator[WebServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(context) as running:
        yield running


async def test_certificates_are_checked(
    make_source: MakeSource, secure_web: WebServer, certificate: tuple[Path, Path], content: bytes
) -> None:
    secure_web.pages["/clip.mp4"] = Page(content)
    url = secure_web.url("/clip.mp4")

    unknown = await read(make_source(url))
    known = await read(make_source(url, ca_file=str(certificate[0])))
    unchecked = await read(make_source(url, verify_tls=False))

    assert unknown.failure.code is ErrorCode.TLS
    assert "certificate" in unknown.failure.message
    assert (known.error, len(known.indexes)) == (None, 30)
    assert (unchecked.error, len(unchecked.indexes)) == (None, 30)


async def test_an_unknown_certificate_is_refused_by_rtsps_too(make_source: MakeSource, secure_web: WebServer) -> None:
    outcome = await read(make_source(secure_web.url("/1").replace("https:", "rtsps:")))

    assert outcome.failure.code is ErrorCode.TLS
    assert "certificate" in outcome.failure.message


def publish(web: WebServer, folder: str, segments: list[bytes], ended: bool) -> str:
    """Put up a playlist of three-second segments; returns its address."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:3", "#EXT-X-MEDIA-SEQUENCE:0"]
    for number, segment in enumerate(segments):
        web.pages[f"{folder}/{number}.ts"] = Page(segment)
        lines += ["#EXT-X-DISCONTINUITY", "#EXTINF:3.0,", f"{number}.ts"]
    lines += ["#EXT-X-ENDLIST"] if ended else []
    web.pages[f"{folder}/list.m3u8"] = Page("\n".join([*lines, ""]).encode())
    return web.url(f"{folder}/list.m3u8")


@pytest.fixture(scope="session")
def segment(clips: Path) -> bytes:
    """30 frames, three seconds, as a piece of an HLS stream."""
    return make_clip(clips / "segment.ts", ClipSpec(container="mpegts")).read_bytes()


async def test_an_hls_recording_is_read_to_its_end(make_source: MakeSource, web: WebServer, segment: bytes) -> None:
    source = make_source(publish(web, "/recorded", [segment, segment], ended=True))

    outcome = await read(source)

    assert (outcome.error, outcome.indexes) == (None, list(range(60)))
    assert outcome.times == sorted(set(outcome.times))
    assert source.info is not None
    assert (source.info.live, source.info.total_frames) == (False, 60)


async def test_an_encrypted_hls_recording(make_source: MakeSource, web: WebServer, segment: bytes) -> None:
    key, lines = bytes(range(16)), ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:3", "#EXT-X-MEDIA-SEQUENCE:5"]
    web.pages["/secret/key"] = Page(key)
    lines += ['#EXT-X-KEY:METHOD=AES-128,URI="key"']
    for number in (5, 6):
        web.pages[f"/secret/{number}.ts"] = Page(encrypted(segment, key, number))
        lines += ["#EXT-X-DISCONTINUITY", "#EXTINF:3.0,", f"{number}.ts"]
    web.pages["/secret/list.m3u8"] = Page("\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode())

    outcome = await read(make_source(web.url("/secret/list.m3u8")))

    assert (outcome.error, outcome.indexes) == (None, list(range(60)))


async def test_live_hls_is_paced_and_loses_nothing(make_source: MakeSource, web: WebServer, segment: bytes) -> None:
    source = make_source(publish(web, "/live", [segment, segment, segment], ended=False))
    arrivals: list[float] = []

    outcome = await read(source, lambda frame: arrivals.append(frame.capture_time), enough=12)

    assert source.info is not None
    assert source.info.live
    assert source.info.total_frames is None
    # Twelve frames, a tenth of a second each at least, however fast the segment came; who is too slow misses some.
    assert (outcome.error, outcome.indexes) == (None, sorted(set(outcome.indexes)))
    assert arrivals[-1] - arrivals[0] >= outcome.times[-1] - outcome.times[0] - 0.1
    assert outcome.indexes[-1] - outcome.indexes[0] <= 11 + sum(source.counters.dropped.values())


@pytest.mark.parametrize("share", [0.5, 1.0], ids=["in the middle of a picture", "between two"])
async def test_a_camera_of_moving_jpeg_is_live_and_comes_back(
    make_source: MakeSource, web: WebServer, tmp_path: Path, events: list[SourceEvent], share: float
) -> None:
    spec = ClipSpec(codec="mjpeg", container="mpjpeg", pixels="yuvj420p")
    body = make_clip(tmp_path / "clip.mpjpeg", spec).read_bytes()
    # Its connection is closed without a word: nothing was said of how long the answer is.
    web.pages["/camera.cgi"] = Page(body[: int(len(body) * share)], sized=False)
    source = make_source(web.url("/camera.cgi"), reconnect=ReconnectPolicy(window=None))

    outcome = await read(source, enough=40)

    assert (outcome.error, len(outcome.indexes)) == (None, 40)
    assert source.info is not None
    assert (source.info.live, source.info.codec) == (True, "mjpeg")
    lost = [event.error for event in events if isinstance(event, Reconnecting)]
    assert {(error.code, error.message) for error in lost} == {(ErrorCode.NETWORK, "the camera ended the stream")}
