"""Pushes a clip into a GStreamer `appsrc` in real time, endlessly, with timestamps that never jump."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .clip import NANOSECONDS, AccessUnit, Clip
from .faults import Fault
from .gst import Gst

# What a feed expects to push into. A reader that stalls loses the oldest pictures, as with a camera.
SOURCE = 'appsrc name=source is-live=true format=time max-buffers=64 max-bytes=0 leaky-type=downstream caps="{caps}"'


@dataclass(frozen=True)
class Film:
    """What a camera shows: `clip` from picture `first` on, or `black` pictures, by what is wrong with it just now."""

    clip: Clip
    first: int
    black: Clip
    fault: Callable[[], Fault] = lambda: Fault.NONE


class Feed:
    """Plays a film into `source` from the moment that `source` asks for data until `stop`."""

    def __init__(self, film: Film, source: Any) -> None:
        self._film = film
        self._clip = film.clip
        self._fault = Fault.NONE
        self._instead: Sequence[AccessUnit] = ()
        self._instead_since = 0
        self._source = source
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        # A live appsrc asks only once the pipeline is playing; a push before that would be refused.
        self._handler = source.connect("need-data", self._on_need_data)

    def stop(self) -> None:
        """Ends the feed; may be called from any thread, more than once, and before it began."""
        self._stopped.set()

    def _on_need_data(self, source: Any, _length: int) -> None:
        source.disconnect(self._handler)
        if not self._stopped.is_set():
            self._thread.start()

    def _run(self) -> None:
        """Sends picture n at n frame durations after the start; a late wake-up is caught up, never skipped."""
        start = time.monotonic_ns()
        sent = 0
        while not self._stopped.wait(max(0, start + sent * self._clip.frame_ns - time.monotonic_ns()) / NANOSECONDS):
            if self._source.emit("push-buffer", self._buffer(sent)) != Gst.FlowReturn.OK:
                return  # the pipeline is going away
            sent += 1

    def _buffer(self, sent: int) -> Any:
        unit = self._unit(sent)
        buffer = Gst.Buffer.new_wrapped_bytes(unit.data)
        buffer.pts = buffer.dts = sent * self._clip.frame_ns
        buffer.duration = self._clip.frame_ns
        if not unit.keyframe:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        return buffer

    def _unit(self, sent: int) -> AccessUnit:
        """The film goes on while it is not seen. It is left and taken up at its keyframes alone."""
        unit = self._clip.units[(self._film.first + sent) % len(self._clip.units)]
        fault = self._film.fault() if unit.keyframe else self._fault
        if fault is not self._fault:
            self._fault, self._instead_since = fault, sent
            self._instead = {Fault.FREEZE: (unit,), Fault.BLACK: self._film.black.units}.get(fault, ())
        return self._instead[(sent - self._instead_since) % len(self._instead)] if self._instead else unit
