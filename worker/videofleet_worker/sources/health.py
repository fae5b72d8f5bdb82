"""How a live source is that delivers frames: frozen, black, too slow, or well. Pure: the times come in.

A source is ill once a symptom has lasted 10 seconds, and well again when it has been without any for 15. Each time that
it falls ill again within half an hour it takes twice as long to be well, 5 minutes at most: what comes and goes all the
time is told twice in 10 minutes.
"""

from collections import deque
from typing import Final

from videofleet_api.codes import SourceHealth

_ILL_AFTER: Final = 10.0
_WELL_AFTER: Final = 15.0
_WELL_AFTER_AT_MOST: Final = 300.0
_REMEMBERED: Final = 1800.0
_WINDOW: Final = 10.0
_STEADY: Final = 3
"""Windows in a row in each of which a rate must have come to be a usual one: a burst lifts no more than one."""
_LOW: Final = 0.4
_ENOUGH: Final = 0.6
"""Shares of the usual rate. Many cameras halve theirs at night, which is nothing to tell."""
_BELIEVED: Final = 60.0
"""Frames a second; what is announced above that is mostly a mistake."""
_WELL: Final = "frames come, and the picture changes"


class HealthMonitor:
    """Keeps the health of one source over all its connections."""

    def __init__(self) -> None:
        self.state = SourceHealth.HEALTHY
        self.message = _WELL
        self._rate = _Rate()
        self._well_since: float | None = None
        self._falls: deque[float] = deque()

    def connect(self) -> None:
        """A new connection: its rate is measured anew."""
        self._rate = _Rate()

    def note(self, now: float, packets: int, announced: float, still: float, black: float) -> bool:
        """What came since the last time, and for how many seconds the picture has been still and black.

        `announced`: frames a second as the source says, 0 where it does not. Returns whether the health has changed.
        """
        self._rate.note(now, packets, announced)
        symptom = self._symptom(still, black)
        if symptom is not None:
            self._well_since = None
            return symptom is not self.state and self._fall(now, symptom)
        if self.state is SourceHealth.HEALTHY:
            return False
        self._well_since = now if self._well_since is None else self._well_since
        if now - self._well_since < self._patience(now):
            return False
        self.state, self.message = SourceHealth.HEALTHY, _WELL
        return True

    def _symptom(self, still: float, black: float) -> SourceHealth | None:
        """What tells most comes first: a black picture does not change either."""
        if black >= _ILL_AFTER:
            return SourceHealth.BLACK
        if still >= _ILL_AFTER:
            return SourceHealth.FROZEN
        return SourceHealth.LOW_FPS if self._rate.low else None

    def _fall(self, now: float, symptom: SourceHealth) -> bool:
        self._falls.append(now)
        self.state, self.message = symptom, self._words(symptom)
        return True

    def _words(self, symptom: SourceHealth) -> str:
        match symptom:
            case SourceHealth.BLACK:
                return f"the picture has been black for {_ILL_AFTER:g} s"
            case SourceHealth.FROZEN:
                return f"the picture has not changed for {_ILL_AFTER:g} s, although frames come"
            case SourceHealth.LOW_FPS:
                return f"{self._rate.last:.1f} frames a second come, where {self._rate.usual:.1f} are usual"
            case SourceHealth.HEALTHY:
                return _WELL

    def _patience(self, now: float) -> float:
        while self._falls and now - self._falls[0] > _REMEMBERED:
            self._falls.popleft()
        return float(min(_WELL_AFTER * 2 ** min(10, max(0, len(self._falls) - 1)), _WELL_AFTER_AT_MOST))


class _Rate:
    """Frames a second of one connection, in windows of 10 seconds.

    Usual is what the source announces, or what it has delivered for half a minute if that is more. Low begins below
    40 % of it, and ends above 60 %.
    """

    def __init__(self) -> None:
        self.low = False
        self.last = 0.0
        self.usual = 0.0
        self._begin: float | None = None
        self._packets = 0
        self._windows: deque[float] = deque(maxlen=_STEADY)

    def note(self, now: float, packets: int, announced: float) -> None:
        """So many packets came since the last time."""
        if self._begin is None:
            # What has piled up until now came in a time that nobody knows.
            self._begin = now
            return
        self._packets += packets
        if now - self._begin < _WINDOW:
            return
        self.last = self._packets / (now - self._begin)
        self._begin, self._packets = now, 0
        self._windows.append(self.last)
        steady = min(self._windows) if len(self._windows) == _STEADY else 0.0
        self.usual = max(self.usual, steady, announced if announced <= _BELIEVED else 0.0)
        self.low = self.last < (_ENOUGH if self.low else _LOW) * self.usual
