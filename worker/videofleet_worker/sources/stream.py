"""One stream from its request to its end, over as many connections as that takes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.forkserver import ForkServer, default_forkserver
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.masks import Mask
from videofleet_worker.decode.messages import OpenRequest, Progress, UseMasks
from videofleet_worker.decode.options import scheme_of
from videofleet_worker.memory import USUAL, DecoderMemory
from videofleet_worker.sources.clock import Clock, SystemClock
from videofleet_worker.sources.context import SessionContext
from videofleet_worker.sources.counters import Counters
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.direct import DirectFeed, Farewell
from videofleet_worker.sources.errors import DecoderLostError, Lost, SourceError
from videofleet_worker.sources.events import (
    ClockChanged,
    HealthChanged,
    Opened,
    Reconnected,
    Reconnecting,
    SourceEvent,
    SourceInfo,
)
from videofleet_worker.sources.health import HealthMonitor
from videofleet_worker.sources.objects import web_address
from videofleet_worker.sources.ondevice import DecodeStation
from videofleet_worker.sources.position import RunPosition
from videofleet_worker.sources.reach import check_allowed
from videofleet_worker.sources.reconnect import MOST_DECODERS, REMEMBERED, Losses, ReconnectPolicy
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.session import DecodeSession
from videofleet_worker.sources.watchdog import Watchdog

DEFAULT_SLOTS = 6


class StreamSource:
    """Frames of one source. Owns the decoding child, and has another one where it is lost; a live source is reconnected
    inside the epoch.

    info: what is known of the source, None until it is open. counters: grow over all connections. direct: those who
    watch it as it is. health: of a live source, kept over connections.
    """

    def __init__(
        self,
        request: SourceRequest,
        *,
        reconnect: ReconnectPolicy | None = None,
        clock: Clock | None = None,
        on_event: Callable[[SourceEvent], None] = lambda event: None,
        slots: int = DEFAULT_SLOTS,
        dialer: Dialer | None = None,
        file_roots: Sequence[Path] = (),
        memory: DecoderMemory = USUAL,
        server: ForkServer | None = None,
        station: DecodeStation | None = None,
        picture: Callable[[], int] | None = None,
    ) -> None:
        """`slots`: frames that may be held at once.

        `dialer`: the way out, with the pool's policy. `file_roots`: file sources are allowed below these folders.
        `memory`: what the decoding child may take. `station`: where this process decodes what it can; a stream that it
        cannot decode is left to the child. `picture` opens the one picture that is decoded instead of what the request
        names.
        """
        self._request = request
        self._reconnect = reconnect or ReconnectPolicy()
        self._clock = clock or SystemClock()
        self._on_event = on_event
        self._slots = slots
        self._dialer = dialer or Dialer()
        self._file_roots = file_roots
        self._memory = memory
        self._server = server or default_forkserver()
        self._station = station
        self._picture = picture
        self._masks = UseMasks(number=0, masks=list(request.masks))
        self._position = RunPosition()
        self._session: DecodeSession | None = None
        self._closed = asyncio.Event()
        self._over = False
        self._losses = Losses()
        self._delivered = 0
        self._last_index: int | None = None
        self.info: SourceInfo | None = None
        self.counters = Counters()
        self.direct = DirectFeed()
        self.health = HealthMonitor()

    @property
    def pid(self) -> int | None:
        """The process that decodes now, if there is one."""
        return self._session.pid if self._session is not None else None

    async def frames(self) -> AsyncIterator[Frame]:
        """All frames to the end of the source; each must be released. Raises SourceError when the epoch is over."""
        if self._picture is None:
            for url in self._request.images or (self._request.url,):
                check_allowed(url, self._dialer.reach)
        while not self._closed.is_set():
            try:
                session = self._session = self._connect()
            except DecoderLostError as error:
                await self._wait_to_reconnect(error)
                continue
            failure: SourceError | None = None
            try:
                while (frame := await session.next_frame()) is not None:
                    if self._over:
                        frame.release()
                        return
                    self._note_frame(frame)
                    yield frame
                    # Of those of a live source not every one is analysed: who does that counts.
                    if not self._is_live and self._delivered == self._request.max_frames:
                        return
            except SourceError as error:
                # Its traceback would hold this call, and with that the last frame, until a collector comes by.
                failure = error.with_traceback(None)
            finally:
                await session.close()
            if failure is None or self._over:
                return
            if session.handed_over and failure.code is ErrorCode.CODEC:
                # The decoder of the GPU takes less than FFmpeg's own.
                self._station = None
                if self._delivered == 0:
                    continue
            await self._wait_to_reconnect(failure)

    def use_masks(self, masks: Sequence[Mask]) -> int:
        """Burn other privacy masks into every picture decoded from now on, over reconnects too; their number.

        Frames of an earlier number are of before the change. A mask that cannot be burnt in ends the source.
        """
        self._masks = UseMasks(number=self._masks.number + 1, masks=list(masks))
        if self._session is not None:
            self._session.use(self._masks)
        if masks:
            self.direct.send_home(Farewell.MASKED)
        return self._masks.number

    async def close(self) -> None:
        """End the source; `frames()` ends too. May be called more than once."""
        self._closed.set()
        self.direct.close()
        if self._session is not None:
            await self._session.close()

    def _connect(self) -> DecodeSession:
        request = self._request
        watchdog = Watchdog(
            request.connect_timeout,
            request.stall_timeout,
            request.io_timeout,
            keyframes_only=request.sampling.mode == "keyframe",
        )
        self._begin_connection()
        context = SessionContext(
            self._server,
            self._clock,
            self.counters,
            self._position,
            self._note_open,
            self._note_progress,
            self._memory,
            self._dialer,
            self._file_roots,
            self.direct,
            self._station,
            self._picture,
        )
        self.health.connect()
        try:
            session = DecodeSession(self._open_request(), watchdog, context)
        except OSError as error:
            raise DecoderLostError(Lost.CRASH, f"no decoder could be started: {error.strerror}") from error
        session.start()
        self.direct.connected(session.watch)
        return session

    def _begin_connection(self) -> None:
        """A live source goes on with what it has now; a recorded one is gone through again, up to where it was."""
        if self._last_index is None or self._is_live:
            self._position.begin_connection()
        else:
            self._position = RunPosition()
            self.counters.begin_again()

    @property
    def _is_live(self) -> bool:
        return self.info is not None and self.info.live

    @property
    def _resume_after(self) -> int | None:
        return self._request.resume_after_frame if self._last_index is None or self._is_live else self._last_index

    def _open_request(self) -> OpenRequest:
        request = self._request
        width, height = request.model_size
        remaining = None if request.max_frames is None else request.max_frames - self._delivered
        signed = scheme_of(request.url) == "s3"
        return OpenRequest(
            url=web_address(request) if signed else request.url,
            images=list(request.images),
            picture_kinds=list(request.picture_kinds),
            picture_bytes=request.picture_bytes,
            asked_as="s3" if signed else None,
            username=None if signed else request.username,
            password=None if signed else request.password,
            transport=request.transport,
            kind=request.kind,
            rotation=request.rotation,
            part_start=request.part.start if request.part else 0.0,
            part_end=request.part.end if request.part else None,
            part_unit=request.part.unit if request.part else None,
            sampling_mode=request.sampling.mode,
            sampling_value=request.sampling.value,
            sampling_decode=request.sampling.decode,
            model_width=width,
            model_height=height,
            slots=self._slots,
            max_frames=remaining,
            resume_after_frame=self._resume_after,
            memory=self._memory.own,
            frame_memory=self._memory.frames,
            io_timeout=request.io_timeout,
            verify_tls=request.verify_tls,
            ca_file=request.ca_file or ssl.get_default_verify_paths().cafile,
            masks=self._masks,
            packets=list(self._station.codecs) if self._station is not None else [],
        )

    def _note_open(self, info: SourceInfo) -> None:
        if self._is_live and not info.live:
            # It was closed meanwhile. What there is now begins with what was seen already.
            self._over = True
            if self._session is not None:
                self._session.end()
            return
        first = self.info is None
        self.info = info
        if first:
            self._on_event(Opened(info))

    def _note_progress(self, progress: Progress) -> None:
        if self.info is None or not self.info.live:
            return
        if progress.clock != self.counters.clock:
            self._on_event(ClockChanged(progress.clock, progress.delay))
        self.counters.clock, self.counters.delay = progress.clock, progress.delay
        now = self._clock.monotonic()
        if self.health.note(now, progress.received, self.info.fps, progress.still, progress.black):
            self._on_event(HealthChanged(self.health.state, self.health.message))

    def _note_frame(self, frame: Frame) -> None:
        self._delivered += 1
        self._last_index = frame.index
        now = self._clock.monotonic()
        if self._losses.last is not None:
            self.counters.reconnects += 1
            self._on_event(Reconnected(now - self._losses.last_frame, self._losses.last))
        self._losses.delivered(now)

    async def _wait_to_reconnect(self, failure: SourceError) -> None:
        """Raises the failure when it is the last one."""
        if isinstance(failure, DecoderLostError):
            self.counters.decoders_lost[failure.how] += 1
        elif not self._is_live:
            raise failure
        if self._delivered == 0:
            raise failure
        loss = self._losses.lost(self._clock.monotonic(), self._reconnect.stable_after, failure)
        delay = self._reconnect.delay(loss)
        if delay is None and loss.decoders > MOST_DECODERS:
            lost = f"{loss.decoders} decoders were lost within {REMEMBERED / 60:g} minutes"
            raise SourceError(failure.code, f"{failure.message}; {lost}")
        if delay is None:
            raise failure
        self._on_event(Reconnecting(loss.attempt, failure, delay))
        await self._sleep(delay)

    async def _sleep(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        closing = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({sleeping, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            closing.cancel()
