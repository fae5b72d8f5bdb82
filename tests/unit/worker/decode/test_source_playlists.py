"""Playlists as servers have them: of any name, moved elsewhere, with several qualities, and broadcasts that end."""

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import Outcome, read
from tests.unit.worker.decode.webserver import Page, WebServer, encrypted
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.frame import Frame
from videofleet_worker.sources.events import Opened, Reconnecting, SourceEvent
from videofleet_worker.sources.reconnect import ReconnectPolicy
from videofleet_worker.sources.stream import StreamSource


@pytest.fixture(scope="session")
def segment(clips: Path) -> bytes:
    """30 frames, three seconds, as a piece of an HLS stream."""
    return make_clip(clips / "piece.ts", ClipSpec(container="mpegts")).read_bytes()


def playlist(names: Sequence[str], *, closed: bool = True) -> Page:
    """Of pieces of three seconds."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:3", "#EXT-X-MEDIA-SEQUENCE:0"]
    for name in names:
        lines += ["#EXT-X-DISCONTINUITY", "#EXTINF:3.0,", name]
    lines += ["#EXT-X-ENDLIST"] if closed else []
    return Page("\n".join([*lines, ""]).encode())


@pytest.mark.parametrize(
    "name", ["piece.ts", "piece.ts?token=a1b2", "piece", "piece.php?id=1", "piece.jpg", "chunk.html"]
)
async def test_pieces_of_any_name(make_source: MakeSource, web: WebServer, segment: bytes, name: str) -> None:
    web.pages |= {f"/named/{name}": Page(segment), "/named/list.m3u8": playlist([name])}

    outcome = await read(make_source(web.url("/named/list.m3u8")))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


@pytest.mark.parametrize("name", ["watch", "watch?camera=7", "watch.php"])
async def test_a_playlist_of_any_name(make_source: MakeSource, web: WebServer, segment: bytes, name: str) -> None:
    web.pages |= {"/any/0.ts": Page(segment), f"/any/{name}": playlist(["0.ts"])}

    outcome = await read(make_source(web.url(f"/any/{name}")))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


async def test_a_piece_that_is_not_there(make_source: MakeSource, web: WebServer) -> None:
    web.pages["/gone/watch"] = playlist(["nowhere.ts"])
    web.asked.clear()

    outcome = await read(make_source(web.url("/gone/watch")))

    assert outcome.failure.code is ErrorCode.NOT_FOUND
    # FFmpeg did not take it for a playlist at first.
    assert [path for path, _ in web.asked][:3] == ["/gone/watch", "/gone/watch", "/gone/nowhere.ts"]


async def test_a_playlist_whose_beginning_comes_in_pieces(
    make_source: MakeSource, web: WebServer, segment: bytes
) -> None:
    web.pages |= {"/slow/0.ts": Page(segment), "/slow/watch": replace(playlist(["0.ts"]), pause_after=3)}

    outcome = await read(make_source(web.url("/slow/watch")))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


async def test_a_piece_whose_server_falls_silent(make_source: MakeSource, web: WebServer, segment: bytes) -> None:
    """Nothing of a recording may be missing; what is missing is no fault of the decoder."""
    web.pages |= {"/mute/0.ts": Page(segment), "/mute/1.ts": Page(segment, hang_after=0)}
    web.pages["/mute/list.m3u8"] = playlist(["0.ts", "1.ts"])
    source = make_source(web.url("/mute/list.m3u8"), stall_timeout=1.0, connect_timeout=30.0)

    outcome = await read(source)

    assert (outcome.failure.code, outcome.indexes) == (ErrorCode.STALLED, list(range(30)))
    assert source.counters.decoders_lost.total() == 0


@pytest.mark.parametrize("closed", [True, False])
async def test_a_playlist_that_names_nothing_yet(make_source: MakeSource, web: WebServer, closed: bool) -> None:
    """To be tried again, and no mistake of who wrote the job."""
    web.pages["/none/list.m3u8"] = playlist([], closed=closed)

    outcome = await read(make_source(web.url("/none/list.m3u8")))

    assert outcome.failure.code is ErrorCode.EMPTY


async def test_names_in_a_playlist_that_has_moved_are_of_where_it_is_now(
    make_source: MakeSource, web: WebServer, segment: bytes
) -> None:
    web.pages |= {
        "/before/list.m3u8": Page(moved=web.url("/now/deep/list.m3u8")),
        "/now/deep/list.m3u8": playlist(["0.ts", "../1.ts"]),
        "/now/deep/0.ts": Page(segment),
        "/now/1.ts": Page(segment),
    }

    outcome = await read(make_source(web.url("/before/list.m3u8")))

    assert (outcome.error, outcome.indexes) == (None, list(range(60)))


async def test_a_title_with_an_end_of_line_of_its_own(make_source: MakeSource, web: WebServer, segment: bytes) -> None:
    """U+2028 ends a line of text, but none of a playlist."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:3", "#EXTINF:3.0,Cafe\u2028 live", "0.ts", "#EXT-X-ENDLIST", ""]
    web.pages |= {
        "/title.m3u8": Page(moved=web.url("/titled/list.m3u8")),
        "/titled/list.m3u8": Page("\n".join(lines).encode()),
        "/titled/0.ts": Page(segment),
    }

    outcome = await read(make_source(web.url("/title.m3u8")))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


async def test_the_key_of_a_playlist_that_has_moved(make_source: MakeSource, web: WebServer, segment: bytes) -> None:
    key = bytes(range(16))
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:3", '#EXT-X-KEY:METHOD=AES-128,URI="key"', "#EXTINF:3.0,", "0.ts"]
    web.pages |= {
        "/keyed.m3u8": Page(moved=web.url("/keyed/list.m3u8")),
        "/keyed/list.m3u8": Page("\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()),
        "/keyed/key": Page(key),
        "/keyed/0.ts": Page(encrypted(segment, key, 0)),
    }

    outcome = await read(make_source(web.url("/keyed.m3u8")))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


async def test_of_several_qualities_the_best_is_taken(make_source: MakeSource, web: WebServer, tmp_path: Path) -> None:
    qualities = {"low": (64, 48), "high": (128, 96)}
    lines = ["#EXTM3U"]
    for name, (width, height) in qualities.items():
        piece = make_clip(tmp_path / f"{name}.ts", ClipSpec(container="mpegts", width=width, height=height))
        web.pages |= {f"/{name}/{number}.ts": Page(piece.read_bytes()) for number in (0, 1)}
        web.pages[f"/{name}/list.m3u8"] = playlist(["0.ts", "1.ts"])
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={width * 1000},RESOLUTION={width}x{height}", f"{name}/list.m3u8"]
    web.pages["/all.m3u8"] = Page("\n".join([*lines, ""]).encode())
    web.asked.clear()

    outcome = await read(make_source(web.url("/all.m3u8")))

    assert (outcome.error, outcome.indexes, set(outcome.sizes)) == (None, list(range(60)), {(128, 96)})
    assert "/low/1.ts" not in [path for path, _ in web.asked], "nothing is fetched that nobody looks at"


async def test_parts_of_one_file(make_source: MakeSource, web: WebServer, segment: bytes) -> None:
    size, lines = len(segment), ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:3"]
    for start in (0, size):
        lines += ["#EXT-X-DISCONTINUITY", "#EXTINF:3.0,", f"#EXT-X-BYTERANGE:{size}@{start}", "all.ts"]
    web.pages["/parts/all.ts"] = Page(segment + segment)
    web.pages["/parts/list.m3u8"] = Page("\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode())

    outcome = await read(make_source(web.url("/parts/list.m3u8")))

    assert (outcome.error, outcome.indexes) == (None, list(range(60)))


def broadcast(web: WebServer, folder: str, segment: bytes, pieces: int) -> str:
    """The address of an open playlist of two pieces, of which there are so many."""
    web.pages |= {f"{folder}/{number}.ts": Page(segment) for number in range(pieces)}
    web.pages[f"{folder}/list.m3u8"] = playlist(["0.ts", "1.ts"], closed=False)
    return web.url(f"{folder}/list.m3u8")


def close(web: WebServer, folder: str) -> None:
    """Close it with a third piece."""
    web.pages[f"{folder}/list.m3u8"] = playlist(["0.ts", "1.ts", "2.ts"])


def assert_each_once(source: StreamSource, outcome: Outcome, frames: int) -> None:
    """Whoever is too slow for a live source misses some, which are counted."""
    assert outcome.error is None
    assert outcome.indexes == sorted(set(outcome.indexes))
    assert source.counters.behind == frames
    assert len(outcome.indexes) + sum(source.counters.dropped.values()) == frames


async def test_a_broadcast_ends_when_its_playlist_is_closed(
    make_source: MakeSource, web: WebServer, segment: bytes, events: list[SourceEvent]
) -> None:
    """It is not taken for a lost camera, whose recording would then be gone through a second time."""
    source = make_source(broadcast(web, "/cast", segment, pieces=3), reconnect=ReconnectPolicy(window=5.0))

    outcome = await read(source, lambda frame: close(web, "/cast"))

    assert_each_once(source, outcome, 90)
    (opened,) = events
    assert isinstance(opened, Opened)
    assert opened.info.live


async def test_a_broadcast_that_is_closed_without_its_last_piece_ends(
    make_source: MakeSource, web: WebServer, segment: bytes
) -> None:
    source = make_source(broadcast(web, "/short", segment, pieces=2), reconnect=ReconnectPolicy(window=5.0))

    outcome = await read(source, lambda frame: close(web, "/short"))

    assert_each_once(source, outcome, 60)
    assert source.counters.reconnects == 0


async def test_a_broadcast_that_is_closed_while_it_is_looked_for_again_ends(
    make_source: MakeSource, web: WebServer, segment: bytes, events: list[SourceEvent]
) -> None:
    """What is there now is not gone through from its beginning."""
    web.pages |= {f"/away/{number}.ts": Page(segment) for number in range(2)}
    web.pages["/away/list.m3u8"] = playlist(["0.ts", "1.ts"], closed=False)
    source = make_source(web.url("/away/list.m3u8"), reconnect=ReconnectPolicy(window=5.0))

    def lose(frame: Frame) -> None:
        if frame.index == 0:
            assert source.pid is not None
            os.kill(source.pid, signal.SIGKILL)
            web.pages["/away/list.m3u8"] = playlist(["0.ts", "1.ts"])

    outcome = await read(source, lose)

    assert outcome.error is None
    assert 1 <= len(outcome.indexes) < 60
    assert outcome.indexes == list(range(len(outcome.indexes)))
    assert [type(event) for event in events] == [Opened, Reconnecting]
    assert source.info is not None
    assert source.info.live


async def test_a_broadcast_that_is_said_to_be_endless_is_looked_for_again(
    make_source: MakeSource, web: WebServer, segment: bytes
) -> None:
    web.pages |= {"/again/0.ts": Page(segment), "/again/list.m3u8": playlist(["0.ts"])}
    source = make_source(web.url("/again/list.m3u8"), kind="live", reconnect=ReconnectPolicy(window=0.1))

    outcome = await read(source)

    assert (outcome.failure.code, outcome.indexes) == (ErrorCode.NETWORK, list(range(30)))


@pytest.mark.parametrize(
    "piece", ["http://169.254.169.254/latest/0.ts", "file:///etc/passwd", "//169.254.169.254/0.ts"]
)
async def test_by_another_name_or_moved_a_playlist_leads_nowhere_else(
    make_source: MakeSource, web: WebServer, piece: str
) -> None:
    web.pages |= {"/sly/watch": playlist([piece]), "/sly/moved.m3u8": Page(moved=web.url("/sly/list.m3u8"))}
    web.pages["/sly/list.m3u8"] = playlist([piece])

    for name in ("watch", "moved.m3u8"):
        outcome = await read(make_source(web.url(f"/sly/{name}")))

        assert (outcome.failure.code, outcome.indexes) == (ErrorCode.FORBIDDEN, [])
