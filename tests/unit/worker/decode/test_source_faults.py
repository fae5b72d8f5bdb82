"""What sources do wrong: each fault by its name, with the code that it ends with, or with how the stream goes on."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.worker.decode.clips import ClipSpec, index_of, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.faulty import (
    ENDLESS_PLAYLIST,
    answering,
    endless,
    flipped,
    free_datagram_port,
    huge_picture,
    joined_late,
    sent_badly,
    shifted,
    shortly_before_the_wrap,
    without_timestamps,
)
from tests.unit.worker.decode.reading import read
from tests.unit.worker.decode.webserver import Page, WebServer
from videofleet_api.codes import ErrorCode
from videofleet_worker.memory import DecoderMemory
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.events import Reconnected, SourceEvent

TS = ClipSpec(container="mpegts")
HEVC = ClipSpec(container="matroska", codec="libx265", width=128, height=96)


@pytest.mark.parametrize(
    "offsets",
    [
        pytest.param((0, 36_000), id="jump ahead"),
        pytest.param((36_000, 0), id="run backwards"),
        pytest.param((shortly_before_the_wrap(3),), id="wrap"),
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
    path.write_bytes(without_timestamps(make_clip(tmp_path / "clip.ts", TS)))

    outcome = await read(make_source(path))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))
    assert outcome.times == sorted(set(outcome.times))


async def test_hevc_that_is_joined_in_the_middle_of_a_group(make_source: MakeSource, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", ClipSpec(container="mpegts", codec="libx265", width=128, height=96))
    path = tmp_path / "joined.ts"
    path.write_bytes(joined_late(clip, 5))

    outcome = await read(make_source(path))

    assert outcome.error is None
    # Whole pictures only: those before the keyframe need what was never seen.
    shown = [index_of(mean) for mean in outcome.means]
    assert shown == list(range(30 - len(shown), 30))
    assert 15 <= len(shown) <= 20


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spec", [ClipSpec(), TS, HEVC], ids=["mp4", "mpegts", "hevc"])
async def test_flipped_bits(make_source: MakeSource, tmp_path: Path, spec: ClipSpec, seed: int) -> None:
    path = make_clip(tmp_path / "clip", spec)
    path.write_bytes(flipped(path.read_bytes(), seed))

    outcome = await read(make_source(path))

    assert outcome.error is None or outcome.error.code in (ErrorCode.CODEC, ErrorCode.UNSUPPORTED, ErrorCode.EMPTY)
    assert outcome.indexes == sorted(set(outcome.indexes))


async def test_a_picture_of_16384x16384(make_source: MakeSource, web: WebServer) -> None:
    web.pages["/huge.png"] = Page(huge_picture())

    outcome = await read(make_source(web.url("/huge.png"), images=(web.url("/huge.png"),)))

    assert outcome.failure.code is ErrorCode.UNSUPPORTED
    assert "a PNG picture that is damaged, too large" in outcome.failure.message
    assert "of up to 8192x8192 can be read" in outcome.failure.message
    assert outcome.indexes == []


async def test_a_playlist_without_an_end(make_source: MakeSource) -> None:
    with endless(*ENDLESS_PLAYLIST) as port:
        url = f"http://127.0.0.1:{port}/list.m3u8"
        source = make_source(url, connect_timeout=2.0, memory=DecoderMemory(own=192 * 2**20))
        outcome = await read(source)

    # Whichever comes first: its time is over, or the most that is read of one.
    assert outcome.failure.code in (ErrorCode.TIMEOUT, ErrorCode.UNSUPPORTED)
    assert outcome.indexes == []


async def test_packets_that_are_lost_and_change_places(make_source: MakeSource, tmp_path: Path) -> None:
    spec = ClipSpec(container="mpegts", fps=25, width=320, height=240, gop=5)
    content = make_clip(tmp_path / "clip.ts", spec).read_bytes()
    port = free_datagram_port()
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
    with answering(answer) as (port, _):
        outcome = await read(make_source(f"rtsp://127.0.0.1:{port}/1"))

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
