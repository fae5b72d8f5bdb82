"""When a source is taken for stalled, or its decoding child for hung. Pure: the times come in."""

from videofleet_api.codes import ErrorCode
from videofleet_worker.sources.errors import DecoderLostError, Lost, SourceError

# Packets without pictures are usual until the first keyframe, which some cameras send every 10 to 20 seconds.
_PICTURE_FACTOR = 3.0
# A child that waits for a live source says so several times a second. One that has been silent for this share of the
# time in which nothing came is what hangs, not the source.
_SILENT = 0.5
# The child of a recorded source cannot speak while it reads. What it reads from has to answer within a time; one that
# has been silent for so many of them does not read.
_READING = 1.5


class Watchdog:
    """Deadlines of one connection, in monotonic seconds.

    Open within connect_timeout; then packets at least every stall_timeout, and pictures at least every three of it
    (not asked of keyframe sampling, where a static scene may have none for a minute).

    io_timeout: after which the child itself tells of a server that is silent.
    """

    def __init__(
        self, connect_timeout: float, stall_timeout: float, io_timeout: float, *, keyframes_only: bool = False
    ) -> None:
        self._connect_timeout = connect_timeout
        self._stall_timeout = stall_timeout
        self._io_timeout = io_timeout
        self._keyframes_only = keyframes_only
        self._is_live = False
        self._started = 0.0
        self._is_open = False
        self._had_picture = False
        self._last_packet = 0.0
        self._last_picture = 0.0
        self._last_word = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two looks: a hang is noticed at most a tenth of its deadline late."""
        return min(self._connect_timeout, self._stall_timeout, 10.0) / 10

    def started(self, now: float) -> None:
        """The child has been asked to open."""
        self._started = now

    def opened(self, now: float, *, live: bool) -> None:
        """The source is open."""
        self._is_open, self._is_live = True, live
        self._last_packet = self._last_picture = now

    def heard(self, now: float) -> None:
        """The child said something."""
        self._last_word = now

    def packets(self, now: float) -> None:
        """Packets came."""
        self._last_packet = now

    def picture(self, now: float) -> None:
        """A picture was decoded."""
        self._had_picture = True
        self._last_packet = self._last_picture = now

    def unblocked(self, now: float) -> None:
        """The consumer freed the slot that the child was waiting for: its time begins now."""
        self._last_packet = self._last_picture = self._last_word = now

    def failure(self, now: float, *, consumer_waits: bool) -> SourceError | None:
        """What is wrong at `now`. A child that waits for its consumer (consumer_waits false) does nothing wrong."""
        if not self._is_open:
            if now - self._started > self._connect_timeout:
                message = f"the source could not be opened within {self._connect_timeout:g} s"
                return SourceError(ErrorCode.TIMEOUT, message)
            return None
        if not consumer_waits:
            return None
        if now - self._last_word > _SILENT * self._stall_timeout:
            patience = self._stall_timeout if self._is_live else _READING * self._io_timeout
            return _hung(patience) if now - self._last_word > patience else None
        code = ErrorCode.STALLED if self._had_picture else ErrorCode.TIMEOUT
        if now - self._last_packet > self._stall_timeout:
            return SourceError(code, f"no data came for {self._stall_timeout:g} s")
        patience = _PICTURE_FACTOR * self._stall_timeout
        if not self._keyframes_only and now - self._last_picture > patience:
            return SourceError(code, f"data came for {patience:g} s, but no picture could be decoded from it")
        return None


def _hung(patience: float) -> DecoderLostError:
    message = f"the decoder said nothing for {patience:g} s; it was stopped"
    return DecoderLostError(Lost.HANG, message, ErrorCode.STALLED)
