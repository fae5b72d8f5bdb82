"""When a live picture was taken: by the clock of its camera, where that tells and can be believed, else when it came.

RTSP cameras tell in RTCP sender reports which time of theirs a timestamp means. FFmpeg gives every packet after the
first report its time of capture by these, as a producer reference time.
"""

import struct
from typing import Final, Literal

from av.packet import Packet
from av.video.stream import VideoStream

CaptureClock = Literal["arrival", "camera", "implausible"]
"""By what frames are dated: their arrival, their camera's clock, or their arrival since that clock is not believed."""

MOST_DELAY: Final = 2.0
"""Seconds that a picture is under way at most. What its camera says is older was dated by a clock that is wrong."""
MOST_AHEAD: Final = 0.5
"""Seconds by which a camera's clock may be fast. Its pictures then count as taken when they came."""
_BELIEVED_AFTER: Final = 60.0
"""Seconds that a clock has to be right before it is believed again."""
_BREAK: Final = 5.0
"""Timestamps that are farther apart (seconds) belong to two time axes."""
_LAYOUT: Final = struct.Struct("=qi")
_CAPTURED: Final = 24
"""The flags of a reference time that is the time of capture (ISO/IEC 14496-12, 8.16.5)."""


def captured_of(packet: "Packet[VideoStream]") -> float | None:
    """Unix time at which the picture in a packet was taken, if its source tells."""
    if not packet.has_sidedata("prft"):
        return None
    return reference_time(bytes(packet.get_sidedata("prft")))


def reference_time(data: bytes) -> float | None:
    """Unix time in FFmpeg's AVProducerReferenceTime; None where that is not the time of capture."""
    if len(data) < _LAYOUT.size:
        return None
    microseconds, flags = _LAYOUT.unpack_from(data)
    return microseconds / 1e6 if flags == _CAPTURED and microseconds > 0 else None


class CameraClock:
    """Which Unix time a timestamp means to the camera. Known with the first report, for pictures before it too."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._last_raw: float | None = None

    def observe(self, raw: float | None, captured: float | None) -> None:
        """Take note of a packet with timestamp `raw` (seconds) that was taken at `captured`, if its camera tells."""
        if raw is None:
            return
        if captured is not None:
            self._start = captured - raw
        elif self._last_raw is not None and abs(raw - self._last_raw) > _BREAK:
            self._start = None
        self._last_raw = raw

    def captured_at(self, raw: float | None) -> float | None:
        """Unix time at which the picture with the timestamp `raw` was taken; None where that is not told."""
        return None if raw is None or self._start is None else raw + self._start


class Dating:
    """Dates the frames of one connection. clock: by what the last one was. delay: how long after its camera says that
    it was taken it came, in seconds, whether that is believed or not; 0 where the camera says nothing."""

    def __init__(self) -> None:
        self.clock: CaptureClock = "arrival"
        self.delay = 0.0
        self._wrong_at = float("-inf")

    def date(self, captured: float | None, arrived: float) -> float:
        """Unix time of capture of a frame that came at `arrived` (Unix time), and was taken at `captured` by the clock
        of its camera."""
        if captured is None:
            self.clock, self.delay = "arrival", 0.0
            return arrived
        self.delay = arrived - captured
        if not -MOST_AHEAD <= self.delay <= MOST_DELAY:
            self._wrong_at = arrived
        if arrived - self._wrong_at < _BELIEVED_AFTER:
            self.clock = "implausible"
            return arrived
        self.clock = "camera"
        return min(captured, arrived)
