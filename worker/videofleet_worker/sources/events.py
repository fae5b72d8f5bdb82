"""What a source tells about itself while it runs."""

from dataclasses import dataclass, field

from videofleet_api.codes import SourceHealth
from videofleet_worker.decode.messages import Strategy
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
    """The connection was lost; the `attempt`-th attempt begins in `delay` seconds."""

    attempt: int
    error: SourceError
    delay: float


@dataclass(frozen=True)
class Reconnected:
    """Frames come again, `gap_seconds` after the last one before."""

    gap_seconds: float


@dataclass(frozen=True)
class HealthChanged:
    """Frames of a live source come, and this is how they are now."""

    health: SourceHealth
    message: str


SourceEvent = Opened | Reconnecting | Reconnected | HealthChanged


@dataclass
class Counters:
    """Counts since the source was created. `dropped`: frames by cause (decode_error, sampling, no_slot, stale).

    received_bytes: of the video, as it is coded. passed_frames: not decoded, since no wanted frame needs them.
    seeks: how often reading went on elsewhere. strategy: what is decoded at the moment; None before anything was.
    """

    received_bytes: int = 0
    decoded_frames: int = 0
    passed_frames: int = 0
    seeks: int = 0
    strategy: Strategy | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    reconnects: int = 0

    @property
    def behind(self) -> int:
        """Frames that are done with, decoded or not."""
        return self.decoded_frames + self.passed_frames

    @property
    def decoding(self) -> dict[str, int | str]:
        """How frames were decoded, for the log."""
        counts = {"decoded": self.decoded_frames, "passed": self.passed_frames, "seeks": self.seeks}
        return {**counts, "strategy": self.strategy or "none"}

    def drop(self, cause: str, count: int = 1) -> None:
        """Count frames that will not be delivered."""
        self.dropped[cause] = self.dropped.get(cause, 0) + count
