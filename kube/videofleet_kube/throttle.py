"""How fast to write: a token bucket whose rate halves when the server pushes back and creeps up when it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """Rates are requests a second."""

    rate: float = 1000.0
    """Where it starts, and the most. The server's own flow control says what is too much, and is listened to."""
    floor: float = 1.0
    burst: float = 50.0
    increase: float = 1.0
    """Added for every request that went through."""
    episode: float = 1.0
    """Rejections within this many seconds are one: requests in flight together are rejected together."""


class Throttle:
    """Additive increase, multiplicative decrease. The clock is monotonic seconds."""

    def __init__(self, settings: ThrottleSettings, clock: Callable[[], float]) -> None:
        self.rate = settings.rate
        self._settings = settings
        self._clock = clock
        self._tokens = settings.burst
        self._filled_at = clock()
        self._paused_until = self._filled_at
        self._cut_at = float("-inf")

    def delay(self) -> float:
        """Seconds until a request may be sent, 0 for now."""
        now = self._clock()
        self._fill(now)
        missing = max(0.0, 1.0 - self._tokens)
        # A billionth is rounding: waiting for it again and again would never send.
        return max(self._paused_until - now, missing / self.rate if missing > 1e-9 else 0.0, 0.0)

    def take(self) -> None:
        """Spend a token; call only when `delay` is 0."""
        self._fill(self._clock())
        self._tokens -= 1.0

    def succeeded(self) -> None:
        """A request went through."""
        self._fill(self._clock())
        self.rate = min(self._settings.rate, self.rate + self._settings.increase)

    def rejected(self, retry_after: float | None) -> None:
        """The server said that it is too much; nothing is sent for `retry_after` seconds (1 when it gave none)."""
        now = self._clock()
        self._fill(now)
        self._paused_until = max(self._paused_until, now + (1.0 if retry_after is None else retry_after))
        if now - self._cut_at >= self._settings.episode:
            self._cut_at = now
            self.rate = max(self._settings.floor, self.rate / 2)
            self._tokens = min(self._tokens, 1.0)

    def _fill(self, now: float) -> None:
        self._tokens = min(self._settings.burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
