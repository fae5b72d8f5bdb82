"""The clip over HTTP, HTTPS and HLS, and files that are not what their name says."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import av
import pytest

from tests.support.cameras import CLIP, CameraSimulator
from tests.support.waiting import wait_until
from tests.unit.simulator.viewing import frames

SIZE = CLIP.stat().st_size
ALL_FRAMES = 795


def fetch(url: str, requested_range: str | None = None, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    headers = {} if requested_range is None else {"Range": requested_range}
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_the_whole_file(simulator: CameraSimulator) -> None:
    status, headers, body = fetch(simulator.http("/vtest.mp4"))
    assert (status, headers["Content-Type"], headers["Accept-Ranges"]) == (200, "video/mp4", "bytes")
    assert body == CLIP.read_bytes()


@pytest.mark.parametrize(
    ("requested", "first", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=1000-", 1000, SIZE),
        ("bytes=-500", SIZE - 500, SIZE),
        (f"bytes={SIZE - 1}-{SIZE + 100}", SIZE - 1, SIZE),
    ],
)
def test_a_part_of_the_file(simulator: CameraSimulator, requested: str, first: int, end: int) -> None:
    status, headers, body = fetch(simulator.http("/vtest.mp4"), requested)
    assert status == 206
    assert headers["Content-Range"] == f"bytes {first}-{end - 1}/{SIZE}"
    assert body == CLIP.read_bytes()[first:end]


@pytest.mark.parametrize("requested", [f"bytes={SIZE}-", "bytes=20-10", "bytes=-0"])
def test_a_range_outside_the_file(simulator: CameraSimulator, requested: str) -> None:
    status, headers, _ = fetch(simulator.http("/vtest.mp4"), requested)
    assert (status, headers["Content-Range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize("requested", ["bytes=-", "lines=1-2", "bytes=0-1,5-6"])
def test_a_range_that_is_not_understood_gives_everything(simulator: CameraSimulator, requested: str) -> None:
    status, _, body = fetch(simulator.http("/vtest.mp4"), requested)
    assert (status, len(body)) == (200, SIZE)


def test_head_sends_no_body(simulator: CameraSimulator) -> None:
    status, headers, body = fetch(simulator.http("/vtest.mp4"), method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(SIZE), b"")


def test_a_player_reads_and_seeks(simulator: CameraSimulator) -> None:
    with av.open(simulator.http("/vtest.mp4"), timeout=60) as container:
        assert sum(1 for _ in container.decode(video=0)) == ALL_FRAMES
        container.seek(40_000_000)
        frame = next(container.decode(video=0))
        assert frame.time is not None
        assert 38 <= frame.time <= 40


def test_https(simulator: CameraSimulator, certificate: tuple[Path, Path]) -> None:
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    with urllib.request.urlopen(simulator.https("/vtest.mp4"), timeout=60, context=trust) as answer:
        assert answer.read() == CLIP.read_bytes()
    assert len(frames(simulator.https("/vtest.mp4"), 5)) == 5


@pytest.mark.parametrize("path", ["/missing.mp4", "/", "/../simulator.py", "/live/../../etc/passwd", "/live/none.ts"])
def test_what_is_not_there(simulator: CameraSimulator, path: str) -> None:
    assert fetch(simulator.http(path))[0] == 404


@pytest.mark.parametrize("path", ["/notavideo.mp4", "/zeros.mp4"])
def test_files_that_are_no_video(simulator: CameraSimulator, path: str) -> None:
    assert fetch(simulator.http(path))[0] == 200
    with pytest.raises(av.error.InvalidDataError):
        frames(simulator.http(path), 1)


def test_a_truncated_file_plays_and_ends_too_early(simulator: CameraSimulator) -> None:
    _, _, body = fetch(simulator.http("/truncated.mp4"))
    assert CLIP.read_bytes().startswith(body)
    seen = 0
    with av.open(simulator.http("/truncated.mp4"), timeout=60) as container:
        assert container.streams.video[0].frames == ALL_FRAMES
        for packet in container.demux(video=0):
            seen += 1 if packet.size else 0
    assert 100 < seen < ALL_FRAMES - 100


def test_recorded_hls_is_complete_and_ends(simulator: CameraSimulator) -> None:
    _, headers, playlist = fetch(simulator.http("/hls/vtest.m3u8"))
    assert headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert playlist.rstrip().endswith(b"#EXT-X-ENDLIST")
    with av.open(simulator.http("/hls/vtest.m3u8"), timeout=60) as container:
        assert sum(1 for _ in container.decode(video=0)) == ALL_FRAMES


def test_live_hls_slides(simulator: CameraSimulator) -> None:
    assert b"#EXT-X-ENDLIST" not in live_playlist(simulator)
    assert len(frames(simulator.http("/live/live.m3u8"), 30)) == 30
    wait_until(lambda: media_sequence(simulator) >= 1, "the window to move on")
    assert live_playlist(simulator).count(b"#EXTINF") <= 5


def live_playlist(simulator: CameraSimulator) -> bytes:
    status, _, body = fetch(simulator.http("/live/live.m3u8"))
    assert status == 200
    return body


def media_sequence(simulator: CameraSimulator) -> int:
    (line,) = [line for line in live_playlist(simulator).splitlines() if line.startswith(b"#EXT-X-MEDIA-SEQUENCE:")]
    return int(line.partition(b":")[2])
