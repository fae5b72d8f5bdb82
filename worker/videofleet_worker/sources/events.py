"""What a source tells about itself while it runs."""

from dataclasses import dataclass

from videofleet_api.codes import SourceHealth
from videofleet_worker.decode.capture import MOST_AHEAD, MOST_DELAY, CaptureClock
from videofleet_worker.sources.errors import SourceError


@dataclass(frozen=True)
class SourceInfo:
    """What is known of an open source.

    fps is 0 when the source does not say; width and height are 0 until the first picture where it does not say before.
    total_frames: as the container promises, or estimated from its duration; None for live sources.
    duration: in seconds, None for live sources; audio: the codec of what is to be heard with it.
    """

    live: bool
    fps: float
    width: int
    height: int
    codec: str
    total_frames: int | None
    duration: float | None = None
    audio: str | None = None


@dataclass(frozen=True)
class Opened:
    """The source is open for the first time in this epoch."""

    info: SourceInfo


@dataclass(frozen=True)
class Reconnecting:
    """The connection or its decoder was lost; the `attempt`-th attempt begins in `delay` seconds."""

    attempt: int
    error: SourceError
    delay: float

    @property
    def message(self) -> str:
        """What was lost, and what is done about it."""
        when = f"in {self.delay:g} s" if self.delay else "at once"
        return f"{self.error.message}; attempt {self.attempt} {when}"


@dataclass(frozen=True)
class Reconnected:
    """Frames come again, `gap_seconds` after the last one before; `error`: what was lost last."""

    gap_seconds: float
    error: SourceError


@dataclass(frozen=True)
class HealthChanged:
    """Frames of a live source come, and this is how they are now."""

    health: SourceHealth
    message: str


@dataclass(frozen=True)
class ClockChanged:
    """From here on frames are dated by another clock than before; `delay` as in Dating."""

    clock: CaptureClock
    delay: float

    @property
    def message(self) -> str:
        """What is so now, and why."""
        if self.clock == "camera":
            return f"frames are dated by the camera's clock; they come {self.delay:.2f} s after that"
        if self.clock == "arrival":
            return "frames are dated by when they come: the camera tells no time in RTCP"
        off = f"{abs(self.delay):.1f} s {'behind' if self.delay > 0 else 'ahead of'} when they come"
        bounds = f"at most {MOST_DELAY:g} s behind or {MOST_AHEAD:g} s ahead is believed"
        return f"frames are dated by when they come: the camera's clock dates them {off}, and {bounds}"


SourceEvent = Opened | Reconnecting | Reconnected | HealthChanged | ClockChanged
