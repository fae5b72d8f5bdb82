"""What a source has counted since it was created."""

from collections import Counter
from dataclasses import dataclass, field

from videofleet_api.codes import DropCause
from videofleet_worker.decode.capture import CaptureClock
from videofleet_worker.decode.messages import Progress, Strategy
from videofleet_worker.sources.errors import Lost


@dataclass
class Counters:
    """Counts since the source was created. `dropped`: frames that are not analysed, by cause.

    received_bytes: of the video, as it is coded. passed_frames: not decoded, since no wanted frame needs them.
    seeks: how often reading went on elsewhere. strategy: what is decoded at the moment; None before anything was.
    reconnects: how often frames came again. decoders_lost: by how they were. clock, delay: see Dating.
    """

    received_bytes: int = 0
    decoded_frames: int = 0
    passed_frames: int = 0
    seeks: int = 0
    strategy: Strategy | None = None
    clock: CaptureClock = "arrival"
    delay: float = 0.0
    dropped: dict[DropCause, int] = field(default_factory=dict)
    reconnects: int = 0
    decoders_lost: Counter[Lost] = field(default_factory=Counter)
    _again: int = 0
    _dropped_again: Counter[DropCause] = field(default_factory=Counter)

    @property
    def behind(self) -> int:
        """Frames that are done with, decoded or not."""
        return self.decoded_frames + self.passed_frames

    @property
    def decoding(self) -> dict[str, int | str]:
        """How frames were decoded, for the log."""
        counts = {"decoded": self.decoded_frames, "passed": self.passed_frames, "seeks": self.seeks}
        return {**counts, "strategy": self.strategy or "none"}

    def drop(self, cause: DropCause, count: int = 1) -> None:
        """Count frames that will not be delivered."""
        self.dropped[cause] = self.dropped.get(cause, 0) + count

    def begin_again(self) -> None:
        """A recorded source is read from its beginning again: each frame counts once."""
        self._again, self._dropped_again = self.behind, Counter(self.dropped)

    def note(self, progress: Progress) -> None:
        """What a decoder says that it has done since it said so last."""
        self.received_bytes += progress.bytes
        self.seeks += progress.seeks
        self.strategy = progress.strategy
        self.decoded_frames += self._new(progress.decoded)
        self.passed_frames += self._new(progress.passed)
        for cause, count in progress.dropped.items():
            known = min(count, self._dropped_again[cause])
            self._dropped_again[cause] -= known
            if count > known:
                self.drop(cause, count - known)

    def _new(self, count: int) -> int:
        known = min(count, self._again)
        self._again -= known
        return count - known
