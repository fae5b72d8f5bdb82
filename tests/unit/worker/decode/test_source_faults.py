"""What sources do wrong: each fault by its name, with the code that it ends with, or with how the stream goes on."""

import io
import itertools
import random
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.support.datagrams import in_pieces, sending
from tests.unit.worker.decode.clips import ClipSpec, index_of, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import read
from tests.unit.worker.decode.webserver import Page, WebServer
from videofleet_api.codes import ErrorCode
from videofleet_worker.memory import DecoderMemory
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.events import Reconnected, SourceEvent

TS = ClipSpec(container="mpegts")
HEVC = ClipSpec(container="matroska", codec="libx265", width=128, height=96)


def shifted(clip: Path, seconds: float) -> bytes:
    """The clip as a transport stream whose timestamps begin later by so many seconds."""
    path = clip.with_suffix(f".{seconds}.ts")
    options = {"output_ts_offset": str(seconds)}
    with av.open(str(path), "w", format="mpegts", options=options) as late, av.open(str(clip)) as early:
        stream = late.add_stream_from_template(early.streams.video[0])
        for packet in early.demux(video=0):
            if packet.size:
                packet.stream = stream
                late.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize(
    "offsets",
    [
        pytest.param((0, 36_000), id="jump ahead"),
        pytest.param((36_000, 0), id="run backwards"),
        # 33 bits of 90 kHz are over in the middle of the clip.
        pytest.param((2**33 / 90_000 - 3,), id="wrap"),
    ],
)
async def test_timestamps_that(make_source: MakeSource, tmp_path: Path, offsets: Sequence[float]) -> None:
    clip, path = make_clip(tmp_path / "clip.ts", TS), tmp_path / "both.ts"
    path.write_bytes(b"".join(shifted(clip, offset) for offset in offsets))

    outcome = await read(make_source(path))

    assert (outcome.error, outcome.indexes) == (None, list(range(30 * len(offsets))))
    assert outcome.times == sorted(set(outcome.times)), "the time of the run only grows"


async def test_timestamps_that_are_missing(make_source: MakeSource, tmp_path: Path) -> None:
    path = tmp_path / "bare.h264"
    with av.open(str(path), "w", format="h264") as bare, av.open(str(make_clip(tmp_path / "clip.ts", TS))) as clip:
        stream = bare.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.size:
                packet.stream = stream
                bare.mux(packet)

    outcome = await read(make_source(path))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))
    assert outcome.times == sorted(set(outcome.times))


async def test_hevc_that_is_joined_in_the_middle_of_a_group(make_source: MakeSource, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", ClipSpec(container="mpegts", codec="libx265", width=128, height=96))
    path = tmp_path / "joined.ts"
    with av.open(str(path), "w", format="mpegts") as late, av.open(str(clip)) as early:
        stream = late.add_stream_from_template(early.streams.video[0])
        for packet in [packet for packet in early.demux(video=0) if packet.size][5:]:
            packet.stream = stream
            late.mux(packet)

    outcome = await read(make_source(path))

    assert outcome.error is None
    # Whole pictures only: those before the keyframe need what was never seen.
    shown = [index_of(mean) for mean in outcome.means]
    assert shown == list(range(30 - len(shown), 30))
    assert 15 <= len(shown) <= 20


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spec", [ClipSpec(), TS, HEVC], ids=["mp4", "mpegts", "hevc"])
async def test_flipped_bits(make_source: MakeSource, tmp_path: Path, spec: ClipSpec, seed: int) -> None:
    path, source_of_bits = make_clip(tmp_path / "clip", spec), random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(40):
        content[source_of_bits.randrange(len(content))] ^= 1 << source_of_bits.randrange(8)
    path.write_bytes(content)

    outcome = await read(make_source(path))

    assert outcome.error is None or outcome.error.code in (ErrorCode.CODEC, ErrorCode.UNSUPPORTED, ErrorCode.EMPTY)
    assert outcome.indexes == sorted(set(outcome.indexes))


async def test_a_picture_of_16384x16384(make_source: MakeSource, web: WebServer) -> None:
    buffer = io.BytesIO()
    Image.new("1", (16_384, 16_384)).save(buffer, "PNG")
    web.pages["/huge.png"] = Page(buffer.getvalue())

    outcome = await read(make_source(web.url("/huge.png"), images=(web.url("/huge.png"),)))

    assert outcome.failure.code is ErrorCode.UNSUPPORTED
    assert outcome.indexes == []


async def test_a_playlist_without_an_end(make_source: MakeSource) -> None:
    with endless(b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n", b"#EXTINF:3.0,\nx.ts\n" * 1000) as port:
        url = f"http://127.0.0.1:{port}/list.m3u8"
        source = make_source(url, connect_timeout=2.0, memory=DecoderMemory(own=192 * 2**20))
        outcome = await read(source)

    # Whichever comes first: its time is over, or the most that is read of one.
    assert outcome.failure.code in (ErrorCode.TIMEOUT, ErrorCode.UNSUPPORTED)
    assert outcome.indexes == []


@contextmanager
def endless(head: bytes, rest: bytes) -> Iterator[int]:
    """Answers a request with a body that goes on until the other side has had enough; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + head)
                    while True:
                        connection.sendall(rest)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@contextmanager
def sent_badly(content: bytes, port: int) -> Iterator[None]:
    """A transport stream as datagrams, again and again: of each ten one is lost, and two change places."""
    pieces, turns = in_pieces(content), itertools.count(step=7)

    def send(sender: socket.socket, over: threading.Event) -> None:
        for at in range(0, len(pieces), 10):
            ten = pieces[at : at + 10]
            if len(ten) == 10:
                lost = next(turns) % 10
                ten[3], ten[4] = ten[4], ten[3]
                del ten[lost]
            for piece in ten:
                sender.sendto(piece, ("127.0.0.1", port))
                over.wait(0.002)

    with sending(send):
        yield


async def test_packets_that_are_lost_and_change_places(make_source: MakeSource, tmp_path: Path) -> None:
    spec = ClipSpec(container="mpegts", fps=25, width=320, height=240, gop=5)
    content = make_clip(tmp_path / "clip.ts", spec).read_bytes()
    with socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    with sent_badly(content, port):
        source = make_source(f"udp://0.0.0.0:{port}", dialer=Dialer())
        outcome = await read(source, enough=20)

    assert (outcome.error, len(outcome.indexes)) == (None, 20)
    assert outcome.indexes == sorted(set(outcome.indexes))
    assert outcome.times == sorted(set(outcome.times))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("453 Not Enough Bandwidth", "no room for another connection"),
        ("503 Service Unavailable", "the server answered 503"),
    ],
)
async def test_a_camera_at_its_limit_of_connections(make_source: MakeSource, answer: str, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(f"RTSP/1.0 {answer}\r\nCSeq: 1\r\n\r\n".encode())

        threading.Thread(target=serve, daemon=True).start()
        outcome = await read(make_source(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/1"))

    assert outcome.failure.code is ErrorCode.NETWORK
    assert said in outcome.failure.message


async def test_another_codec_after_a_reconnect(
    make_source: MakeSource, web: WebServer, tmp_path: Path, events: list[SourceEvent]
) -> None:
    first = make_clip(tmp_path / "first.ts", TS).read_bytes()
    second = make_clip(tmp_path / "second.ts", ClipSpec(container="mpegts", codec="libx265", width=128, height=96))
    web.pages["/camera.ts"] = Page(first)
    source = make_source(web.url("/camera.ts"), kind="live")

    def switch(frame: object) -> None:
        web.pages["/camera.ts"] = Page(second.read_bytes())

    # The first connection is read to its end, which for a camera is a loss.
    outcome = await read(source, switch, enough=45)

    assert outcome.error is None
    assert any(isinstance(event, Reconnected) for event in events)
    assert source.info is not None
    assert source.info.codec == "hevc"
    assert set(outcome.sizes) == {(64, 48), (128, 96)}
    assert outcome.indexes == sorted(set(outcome.indexes))


@pytest.mark.parametrize("status", [503, 403])
async def test_a_store_of_sources_that_throttles_or_knows_the_credentials_no_more(
    make_source: MakeSource, web: WebServer, status: int
) -> None:
    web.pages["/bucket/clip.mp4"] = Page(status=status)

    outcome = await read(make_source(web.url("/bucket/clip.mp4")))

    assert outcome.failure.code is (ErrorCode.NETWORK if status == 503 else ErrorCode.AUTH)
