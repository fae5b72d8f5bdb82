"""When a lost live source is tried again, and a lost decoder replaced. Pure."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_worker.sources.errors import DecoderLostError, SourceError

_FIRST_DELAYS: Final = (0.5, 1.0, 2.0, 4.0)
_LATER_DELAY: Final = 5.0
# Cameras lock an account after a few wrong passwords.
_AUTH_DELAY: Final = 60.0
# The delay for what kills each of its decoders, while there is nobody who would start it again.
_DEADLY_DELAY: Final = 60.0
MOST_DECODERS: Final = 5
"""Decoders that a source may lose within `REMEMBERED` seconds: what kills more of them will kill the next one too."""
REMEMBERED: Final = 600.0

# Another attempt within seconds can help here. Not with a codec or a scheme.
_RECONNECTABLE = frozenset(
    {
        ErrorCode.NETWORK,
        ErrorCode.TIMEOUT,
        ErrorCode.STALLED,
        ErrorCode.NOT_FOUND,
        ErrorCode.AUTH,
        ErrorCode.TLS,
        ErrorCode.EMPTY,
    }
)


@dataclass(frozen=True)
class Loss:
    """A connection that was lost, or could not be made again: `attempt` is the number of the next one (from 1), `since`
    the seconds since the first loss, `decoders` how many were lost lately, with this one."""

    attempt: int
    error: SourceError
    since: float = 0.0
    decoders: int = 0


@dataclass(frozen=True)
class ReconnectPolicy:
    """How long and how often a live source is tried again inside its epoch, and a decoder replaced.

    window: seconds since the loss after which it is given up; None: never.
    stable_after: seconds a connection must have delivered before the delays begin anew, so that a camera that dies
    at once after every connect is not hammered.
    """

    window: float | None = 30.0
    stable_after: float = 10.0

    def delay(self, loss: Loss) -> float | None:
        """Seconds to wait before the next attempt, or None to give up."""
        if isinstance(loss.error, DecoderLostError):
            return self._until_next_decoder(loss)
        if loss.error.code not in _RECONNECTABLE:
            return None
        delay = _AUTH_DELAY if loss.error.code is ErrorCode.AUTH else _delay(loss.attempt)
        return delay if self._in_window(loss.since + delay) else None

    def _until_next_decoder(self, loss: Loss) -> float | None:
        """The first one at once: nothing says that the source has to do with it."""
        if loss.decoders > MOST_DECODERS:
            return _DEADLY_DELAY if self.window is None else None
        delay = _delay(loss.attempt - 1) if loss.attempt > 1 else 0.0
        return delay if self._in_window(loss.since + max(delay, _FIRST_DELAYS[0])) else None

    def _in_window(self, since_loss: float) -> bool:
        return self.window is None or since_loss <= self.window


def _delay(attempt: int) -> float:
    return _FIRST_DELAYS[attempt - 1] if attempt <= len(_FIRST_DELAYS) else _LATER_DELAY


class Losses:
    """Counts the attempts since the connection was lost, and the decoders that were lost lately.

    last: what was lost, as long as no frame has come since.
    """

    def __init__(self) -> None:
        self.last: SourceError | None = None
        self.last_frame = 0.0
        self._since = 0.0
        self._attempt = 0
        self._first_frame = 0.0
        self._decoders: deque[float] = deque()

    def delivered(self, now: float) -> None:
        """A frame came."""
        if self.last is not None or self.last_frame == 0.0:
            self._first_frame = now
        self.last = None
        self.last_frame = now

    def lost(self, now: float, stable_after: float, error: SourceError) -> Loss:
        """The connection failed."""
        if self.last is None:
            self._since = now
            if self.last_frame - self._first_frame >= stable_after:
                self._attempt = 0
        self.last = error
        self._attempt += 1
        if isinstance(error, DecoderLostError):
            self._decoders.append(now)
        while self._decoders and now - self._decoders[0] > REMEMBERED:
            self._decoders.popleft()
        return Loss(self._attempt, error, now - self._since, len(self._decoders))
