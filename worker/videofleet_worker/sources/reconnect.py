"""When a lost live source is tried again. Pure."""

from dataclasses import dataclass

from videofleet_api.codes import ErrorCode
from videofleet_worker.sources.errors import SourceError

_FIRST_DELAYS = (0.5, 1.0, 2.0, 4.0)
_LATER_DELAY = 5.0
# Cameras lock an account after a few wrong passwords.
_AUTH_DELAY = 60.0

# Another attempt within seconds can help here. Not with a codec or a scheme; and a decoder that crashed on a stream
# would crash on it again, so that ends the epoch.
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
class ReconnectPolicy:
    """How long and how often a live source is tried again inside its epoch.

    window: seconds since the loss after which it is given up; None: never.
    stable_after: seconds a connection must have delivered before the delays begin anew, so that a camera that dies
    at once after every connect is not hammered.
    """

    window: float | None = 30.0
    stable_after: float = 10.0

    def delay(self, attempt: int, error: SourceError, since_loss: float) -> float | None:
        """Seconds to wait before the `attempt`-th attempt (from 1), or None to give up."""
        if error.code not in _RECONNECTABLE:
            return None
        delay = _FIRST_DELAYS[attempt - 1] if attempt <= len(_FIRST_DELAYS) else _LATER_DELAY
        if error.code is ErrorCode.AUTH:
            delay = _AUTH_DELAY
        if self.window is not None and since_loss + delay > self.window:
            return None
        return delay
