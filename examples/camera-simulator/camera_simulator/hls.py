"""The clip as HLS: a recording that ends, and a live stream with a sliding window."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .clip import Clip
from .feed import SOURCE, Feed, Film
from .gst import Gst

RECORDED_SEGMENT_SECONDS = 4
LIVE_SEGMENT_SECONDS = 2
LIVE_WINDOW = 5
_SINK = (
    "h264parse ! sink.video hlssink2 name=sink send-keyframe-requests=false"
    " target-duration={seconds} playlist-length={window} max-files={files}"
)


class HlsError(Exception):
    """GStreamer could not make the HLS stream; the message says why."""


def record(path: Path) -> dict[str, bytes]:
    """The whole file as `vtest.m3u8` and its MPEG-TS segments, by name."""
    with tempfile.TemporaryDirectory(prefix="recorded-hls-") as folder:
        sink = _SINK.format(seconds=RECORDED_SEGMENT_SECONDS, window=0, files=0)
        pipeline = Gst.parse_launch(f"filesrc name=file ! qtdemux ! {sink}")
        pipeline.get_by_name("file").set_property("location", str(path))
        _write_into(pipeline, Path(folder), "vtest")
        pipeline.set_state(Gst.State.PLAYING)
        message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        pipeline.set_state(Gst.State.NULL)
        if message is None or message.type == Gst.MessageType.ERROR:
            reason = message.parse_error()[0].message if message else "no end after 60 seconds"
            raise HlsError(f"{path}: cannot be cut into HLS segments: {reason}")
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


class LiveHls:
    """The clip played endlessly as HLS in a temporary folder; begins with the first look at it."""

    def __init__(self, clip: Clip, first: Callable[[], int]) -> None:
        self._clip = clip
        self._first = first
        self._folder = tempfile.TemporaryDirectory(prefix="live-hls-")
        self._lock = threading.Lock()
        self._running: tuple[Any, Feed] | None = None

    def read(self, name: str) -> bytes | None:
        """The playlist `live.m3u8` or a segment that it names; None where there is no such file (yet, or any more)."""
        with self._lock:
            if self._running is None:
                self._running = self._start()
        path = Path(self._folder.name, name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Stops playing and removes the folder."""
        with self._lock:
            if self._running is not None:
                pipeline, feed = self._running
                feed.stop()
                pipeline.set_state(Gst.State.NULL)
        self._folder.cleanup()

    def _start(self) -> tuple[Any, Feed]:
        sink = _SINK.format(seconds=LIVE_SEGMENT_SECONDS, window=LIVE_WINDOW, files=2 * LIVE_WINDOW)
        pipeline = Gst.parse_launch(f"{SOURCE.format(caps=self._clip.caps)} ! {sink}")
        _write_into(pipeline, Path(self._folder.name), "live")
        feed = Feed(Film(self._clip, self._first(), self._clip), pipeline.get_by_name("source"))
        pipeline.set_state(Gst.State.PLAYING)
        return pipeline, feed


def _write_into(pipeline: Any, folder: Path, name: str) -> None:
    sink = pipeline.get_by_name("sink")
    sink.set_property("location", str(folder / f"{name}%05d.ts"))
    sink.set_property("playlist-location", str(folder / f"{name}.m3u8"))
