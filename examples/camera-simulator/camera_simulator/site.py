"""What the file server has to offer: the clip in every shape, and files that are not what their name says."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .hls import LiveHls, record

TRUNCATED_SHARE = 0.4
ZEROS_LENGTH = 1 << 20
LIVE_START_SECONDS = 10.0
_NOT_A_VIDEO = b"This is a text file, whatever its name says.\n" * 200


def fixed_files(clip: Path, small_clip: Path) -> dict[str, bytes]:
    """Every file that never changes, by its path."""
    content = clip.read_bytes()
    files = {
        "/vtest.mp4": content,
        "/vtest-384x288.mp4": small_clip.read_bytes(),
        "/notavideo.mp4": _NOT_A_VIDEO,
        # The index is at the front, so this opens, plays, and then ends too early.
        "/truncated.mp4": content[: int(len(content) * TRUNCATED_SHARE)],
        "/zeros.mp4": bytes(ZEROS_LENGTH),
    }
    files.update({f"/hls/{name}": part for name, part in record(clip).items()})
    return files


class Site:
    """Finds a file by the path of a request."""

    def __init__(self, files: dict[str, bytes], live: LiveHls, sleep: Callable[[float], None] = time.sleep) -> None:
        self._files = files
        self._live = live
        self._sleep = sleep

    def find(self, path: str) -> bytes | None:
        """The content at `path`, or None."""
        folder, _, name = path.rpartition("/")
        if folder == "/live" and name.endswith(".ts"):
            return self._live.read(name)
        if path == "/live/live.m3u8":
            return self._live_playlist()
        return self._files.get(path)

    def _live_playlist(self) -> bytes | None:
        """The first request starts the stream and waits until its first segment is whole."""
        pause = 0.1
        for _ in range(int(LIVE_START_SECONDS / pause)):
            if (playlist := self._live.read("live.m3u8")) is not None:
                return playlist
            self._sleep(pause)
        return None
