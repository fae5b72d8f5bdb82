"""What a source says in its contents, or in the words of its address, leads nowhere that the pool's policy forbids."""

from pathlib import Path

import pytest

from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.forbidden import FORBIDDEN, ONE_HOST, nobody_comes
from tests.unit.worker.decode.reading import read
from tests.unit.worker.decode.webserver import Page, WebServer
from videofleet_api.codes import ErrorCode
from videofleet_worker.sources.dialer import Dialer


@pytest.fixture
def content(clip: Path) -> bytes:
    return clip.read_bytes()


@pytest.mark.parametrize(
    "segment",
    [
        "file:///etc/passwd",
        "concat:http://127.0.0.1:{web}/a.ts|file:///etc/passwd",
        "subfile,,start,0,end,64,,:/etc/passwd",
        "data:video/mp2t;base64,AAAA",
        "crypto+file:///etc/passwd",
        "http://127.0.0.2:{port}/a.ts",
        "rtsp://127.0.0.2:{port}/a.ts",
        "tcp://127.0.0.2:{port}",
        "/etc/passwd.ts",
    ],
)
async def test_what_a_playlist_may_not_name(make_source: MakeSource, web: WebServer, segment: str) -> None:
    with nobody_comes() as port:
        named = segment.format(port=port, web=web.port)
        lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:3", "#EXTINF:3.0,", named, "#EXT-X-ENDLIST", ""]
        web.pages["/evil.m3u8"] = Page("\n".join(lines).encode())
        outcome = await read(make_source(web.url("/evil.m3u8"), dialer=Dialer(ONE_HOST)))

    assert outcome.indexes == []
    assert outcome.failure.code in (ErrorCode.FORBIDDEN, ErrorCode.UNSUPPORTED, ErrorCode.NOT_FOUND)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(
            ['#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.2:{port}/key"', "#EXTINF:3.0,", "a.ts", "#EXT-X-ENDLIST"],
            id="a key elsewhere",
        ),
        pytest.param(
            ['#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/hostname"', "#EXTINF:3.0,", "a.ts", "#EXT-X-ENDLIST"],
            id="a key in a file",
        ),
        pytest.param(
            ['#EXT-X-MAP:URI="http://127.0.0.2:{port}/init.mp4"', "#EXTINF:3.0,", "a.ts", "#EXT-X-ENDLIST"],
            id="a beginning elsewhere",
        ),
        pytest.param(
            ["#EXT-X-STREAM-INF:BANDWIDTH=1", "http://127.0.0.2:{port}/list.m3u8"], id="another playlist elsewhere"
        ),
        pytest.param(["#EXT-X-STREAM-INF:BANDWIDTH=1", "file:///etc/passwd"], id="another playlist in a file"),
        pytest.param(["#EXTINF:3.0,", "moved.ts", "#EXT-X-ENDLIST"], id="a segment that is moved elsewhere"),
    ],
)
async def test_what_a_playlist_names_besides_segments(
    make_source: MakeSource, web: WebServer, content: bytes, lines: list[str]
) -> None:
    web.pages["/a.ts"] = Page(content)
    with nobody_comes() as port:
        web.pages["/moved.ts"] = Page(moved=f"http://{FORBIDDEN}:{port}/a.ts")
        text = "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:3", *lines, ""]).format(port=port)
        web.pages["/sly.m3u8"] = Page(text.encode())
        outcome = await read(make_source(web.url("/sly.m3u8"), dialer=Dialer(ONE_HOST)))

    assert outcome.indexes == []
    assert outcome.failure.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize(
    "url",
    [
        "concat:/etc/passwd|/etc/hostname",
        "subfile,,start,0,end,64,,:/etc/passwd",
        "crypto:/etc/passwd",
        "data:video/mp2t;base64,AAAA",
        "tty:/dev/tty",
        "pipe:0",
        "fd:0",
        "unix:/run/some.sock",
        "tcp://127.0.0.2:80",
        "ftp://127.0.0.2/a.mp4",
        "cache:http://127.0.0.2/a.mp4",
        "async:file:/etc/passwd",
        "/etc/passwd",
        "srt://127.0.0.2:9000",
        "memory://1",
    ],
)
async def test_addresses_of_ffmpegs_own_are_none(make_source: MakeSource, url: str) -> None:
    for given in ({}, {"images": (url,)}):
        outcome = await read(make_source(url, dialer=Dialer(ONE_HOST), **given))

        assert (outcome.failure.code, outcome.indexes) == (ErrorCode.UNSUPPORTED, [])


@pytest.mark.parametrize("name", ["/tty.txt", "/art.nfo", "/tty.ans", "/list.ffconcat"])
async def test_text_is_no_video(make_source: MakeSource, web: WebServer, name: str) -> None:
    web.pages[name] = Page(b"ffconcat version 1.0\nfile /etc/passwd\n" + b"\x1b[31m some lines of text\n" * 500)

    outcome = await read(make_source(web.url(name)))

    assert (outcome.failure.code, outcome.indexes) == (ErrorCode.UNSUPPORTED, [])
