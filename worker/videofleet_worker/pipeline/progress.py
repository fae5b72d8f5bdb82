"""When progress is reported, and at which rate frames are analysed."""

from typing import Final

PROGRESS_SECONDS: Final = 2.0


class ProgressMeter:
    """Counts the frames of this epoch. Times in monotonic seconds."""

    def __init__(self, now: float) -> None:
        self.frames = 0
        self._since = now
        self._frames_then = 0
        self._rate: float | None = None

    @property
    def rate(self) -> float | None:
        """Frames a second between the last two reports; None before the first."""
        return self._rate

    def frame(self, now: float) -> bool:
        """Another frame was analysed; whether progress is due."""
        self.frames += 1
        if now - self._since < PROGRESS_SECONDS:
            return False
        self.measure(now)
        return True

    def measure(self, now: float) -> None:
        """Begin another interval."""
        if now > self._since:
            self._rate = round((self.frames - self._frames_then) / (now - self._since), 2)
        self._since, self._frames_then = now, self.frames
