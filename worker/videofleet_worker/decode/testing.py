"""Footage that is made here: `test://`, with its faults."""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, NoReturn

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.choice import Choice
from videofleet_worker.decode.decoder import Decoded
from videofleet_worker.decode.footage import OnPacket, Tally, look
from videofleet_worker.decode.looks import Looks
from videofleet_worker.decode.messages import Opened, OpenRequest, Strategy
from videofleet_worker.decode.synthetic import Fault, Synthetic, parse
from videofleet_worker.sources.errors import SourceError

# How long the parent is left alone while the next frame is not due.
_LONGEST_WAIT: Final = 0.2
_SLOWED: Final = 10
_LEAKED_BYTES: Final = 64 * 2**20


def open_synthetic(request: OpenRequest) -> "SyntheticFootage":
    """Raises SourceError where the address asks for what there is not, or for an error at once."""
    try:
        wanted = parse(request.url)
    except ValueError as error:
        raise SourceError(ErrorCode.BAD_PARAMETER, f"source.url: {error}") from None
    if isinstance(wanted.fault, ErrorCode) and wanted.fail_at == 0:
        raise _on_demand(wanted.fault)
    live = wanted.frames is None if request.kind == "auto" else request.kind == "live"
    return SyntheticFootage(wanted, request, live=live)


class SyntheticFootage:
    """Live: at the rate it has. Recorded: as fast as it is taken. See Footage."""

    strategy: Strategy = "needed"

    def __init__(self, wanted: Synthetic, request: OpenRequest, *, live: bool) -> None:
        self.info = Opened(
            live=live,
            fps=wanted.fps,
            width=wanted.width,
            height=wanted.height,
            codec="synthetic",
            total_frames=None if live else wanted.frames,
        )
        self.tally = Tally()
        self.stream: VideoStream | None = None
        self.choice = Choice(request, self.info)
        self.looks = Looks() if live else None
        self._wanted = wanted
        self._keyframe_every = max(1, round(wanted.fps))
        self._leak: list[bytes] = []

    def frames(self, on_packet: OnPacket) -> Iterator[Decoded | None]:
        """See Footage."""
        due = time.monotonic()
        index = 0
        while self._wanted.frames is None or index < self._wanted.frames:
            yield None
            yield from self._wait(index, due)
            self._fail(index)
            self.tally.received += 1
            yield from self._made(index)
            if self.choice.over:
                return
            due += self._period(index)
            index += 1
        if self.info.live:
            raise SourceError(ErrorCode.NETWORK, "the camera ended the stream")

    def taken_at(self, decoded: Decoded) -> float:
        """See Footage."""
        return time.monotonic()

    def captured_at(self, decoded: Decoded) -> float | None:
        """See Footage."""
        return None

    def close(self) -> None:
        """Nothing to leave."""

    def _period(self, index: int) -> float:
        return (_SLOWED if self._is_slow(index) else 1) / self._wanted.fps

    def _is_slow(self, index: int) -> bool:
        return self._wanted.fault is Fault.SLOW and index >= self._wanted.fail_at

    def _wait(self, index: int, due: float) -> Iterator[None]:
        while (self.info.live or self._is_slow(index)) and (left := due - time.monotonic()) > 0:
            time.sleep(min(left, _LONGEST_WAIT))
            yield None

    def _made(self, index: int) -> Iterator[Decoded]:
        """The frame, unless nobody wants it."""
        raw, arrival, keyframe = index / self._wanted.fps, time.monotonic(), index % self._keyframe_every == 0
        judged = self.choice.judge(index, raw, arrival, keyframe=keyframe)
        if not judged.wanted:
            self.tally.passed += 1
            return
        frame = VideoFrame.from_ndarray(self._wanted.picture(index), format="yuv420p")
        frame.pts, frame.time_base = index, 1 / Fraction(self._wanted.fps).limit_denominator(1000)
        self.tally.decoded += 1
        decoded = Decoded(frame, index, raw, keyframe, arrival, judged)
        look(self.looks, decoded)
        yield decoded

    def _fail(self, index: int) -> None:
        fault = self._wanted.fault
        if fault is None or index < self._wanted.fail_at:
            return
        match fault:
            case ErrorCode():
                raise _on_demand(fault)
            case Fault.CRASH:
                ctypes.string_at(0)
            case Fault.HANG:
                _hang()
            case Fault.LEAK:
                # Written to, so that it is memory and not only a promise of it.
                self._leak.append(b"\x01" * _LEAKED_BYTES)
            case Fault.FORK:
                _fork()
            case Fault.THREADS:
                _spawn()
            case Fault.FREEZE | Fault.BLACK | Fault.SLOW:
                pass


def _on_demand(code: ErrorCode) -> SourceError:
    return SourceError(code, "the test source fails on demand")


def _fork() -> NoReturn:
    while True:
        os.fork()


def _spawn() -> NoReturn:
    while True:
        threading.Thread(target=signal.pause).start()


def _hang() -> NoReturn:
    while True:
        signal.pause()
