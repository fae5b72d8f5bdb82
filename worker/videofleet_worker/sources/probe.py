"""Opening a source for a moment, to say what it is like or why it does not work."""

import asyncio
from collections.abc import Callable
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_api.probe import ProbeReport
from videofleet_worker.decode.frame import Frame
from videofleet_worker.sources.clock import Clock
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.reconnect import ReconnectPolicy
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource

ONCE: Final = ReconnectPolicy(window=0)
"""What is lost is not dialled again: that it was lost is what there is to say."""
MODEL_SIZE: Final = (32, 32)
_KEYFRAMES: Final = 3
_LEAST_SPAN: Final = 2.0
"""Seconds of the source that are looked at, if there are so many: a rate takes time to be measured."""
_LEAVING: Final = 2.0
"""Seconds of the given time that are kept for the end."""


async def probe(
    request: SourceRequest, make_source: Callable[[SourceRequest], StreamSource], clock: Clock, timeout: float
) -> ProbeReport:
    """Decode until three keyframes and two seconds of the source have been seen, for at most `timeout` seconds.

    `make_source` must give one that does not reconnect.
    """
    source = make_source(request)
    seen = _Seen(clock.monotonic())
    failure: SourceError | None = None
    try:
        async with asyncio.timeout(max(1.0, timeout - _LEAVING)):
            async for frame in source.frames():
                with frame:
                    seen.note(frame, clock.monotonic())
                if seen.is_enough():
                    break
    except TimeoutError:
        if not seen.frames:
            failure = SourceError(ErrorCode.TIMEOUT, f"no picture came within {timeout - _LEAVING:g} s")
    except SourceError as error:
        failure = error
    finally:
        await source.close()
    return seen.report(source, failure)


class _Seen:
    """What the frames of one source tell."""

    def __init__(self, began: float) -> None:
        self.frames = 0
        self._began = began
        self._first_after: float | None = None
        self._first_pts = self._last_pts = 0.0
        self._keyframes: list[float] = []
        self._size = (0, 0)

    def note(self, frame: Frame, now: float) -> None:
        """Another frame."""
        if not self.frames:
            self._first_after, self._first_pts = now - self._began, frame.pts
        self.frames += 1
        self._last_pts, self._size = frame.pts, (frame.width, frame.height)
        if frame.keyframe:
            self._keyframes.append(frame.pts)

    def is_enough(self) -> bool:
        """Whether more would tell no more."""
        return len(self._keyframes) >= _KEYFRAMES and self._span >= _LEAST_SPAN

    @property
    def _span(self) -> float:
        return self._last_pts - self._first_pts

    def report(self, source: StreamSource, failure: SourceError | None) -> ProbeReport:
        """All of it in one document."""
        info, keys, span = source.info, self._keyframes, self._span
        width, height = self._size if self.frames else (info.width, info.height) if info else (0, 0)
        return ProbeReport(
            works=self.frames > 0,
            code=failure.code if failure else None if self.frames else ErrorCode.EMPTY,
            message=failure.message if failure else None if self.frames else "the source ended without a frame",
            live=info.live if info else None,
            codec=info.codec if info else None,
            width=width or None,
            height=height or None,
            announced_fps=(info.fps or None) if info else None,
            measured_fps=round((self.frames - 1) / span, 2) if span > 0 else None,
            keyframe_interval=round((keys[-1] - keys[0]) / (len(keys) - 1), 3) if len(keys) > 1 else None,
            bit_rate=round(8 * source.counters.received_bytes / span) if span > 0 else None,
            duration=info.duration if info else None,
            audio=info.audio if info else None,
            first_frame_seconds=None if self._first_after is None else round(self._first_after, 3),
            frames=self.frames,
        )
