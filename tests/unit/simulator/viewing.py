"""Viewers of the simulator's streams."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

# The cameras describe themselves fully; without these FFmpeg would look at 20 pictures before it opens.
QUICK_OPEN = {"fpsprobesize": "2", "analyzeduration": "100000"}


@contextmanager
def opened(url: str, transport: str = "tcp", timeout: float = 60.0) -> Iterator[InputContainer]:
    """The stream at `url`; every read that waits longer than `timeout` seconds raises av.error.ExitError.

    Until it is opened, as long as that may take on a busy machine.
    """
    options = {"rtsp_transport": transport, **QUICK_OPEN} if url.startswith("rtsp") else {}
    with av.open(url, options=options, timeout=(60.0, timeout)) as container:
        yield container


def frames(url: str, count: int, transport: str = "tcp") -> list[VideoFrame]:
    """The first `count` decoded pictures, or fewer where the stream ends before."""
    taken: list[VideoFrame] = []
    with opened(url, transport) as container:
        for frame in container.decode(video=0):
            taken.append(frame)
            if len(taken) == count:
                break
    return taken


def size(url: str, transport: str = "tcp") -> tuple[int, int]:
    """Width and height of the first picture."""
    (frame,) = frames(url, 1, transport)
    return frame.width, frame.height


class Viewer:
    """Somebody who watches a camera in a thread until it ends or `with` is left."""

    def __init__(self, url: str, transport: str = "tcp") -> None:
        self.packets = 0
        self.last_packet = time.monotonic()
        self.ended = threading.Event()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(url, transport), name=f"viewer of {url}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave.set()
        self._thread.join()

    def quiet_for(self, seconds: float) -> bool:
        """Whether nothing came for so long."""
        return time.monotonic() - self.last_packet > seconds

    def _watch(self, url: str, transport: str) -> None:
        try:
            with opened(url, transport) as container:
                for packet in container.demux(video=0):
                    if self._leave.is_set():
                        return
                    # An empty packet is PyAV's way to say that the stream is over.
                    if packet.size:
                        self.packets += 1
                        self.last_packet = time.monotonic()
        except av.error.FFmpegError:
            # However FFmpeg words a cut connection, to this viewer the stream has ended.
            return
        finally:
            self.ended.set()
