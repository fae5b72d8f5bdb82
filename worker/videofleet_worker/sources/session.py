"""One connection to a source: the parent's side of one decoding child."""

import asyncio
import contextlib
from dataclasses import replace

from videofleet_api.codes import ErrorCode
from videofleet_api.redaction import redact_text
from videofleet_worker.decode import messages
from videofleet_worker.decode.frame import Frame, FrameHeader
from videofleet_worker.decode.packetring import PacketReader
from videofleet_worker.decode.ring import RingMemory, RingReader
from videofleet_worker.sources.channel import ChildChannel
from videofleet_worker.sources.context import FrameRing, SessionContext
from videofleet_worker.sources.dialling import DialService
from videofleet_worker.sources.errors import DecoderLostError, Lost, SourceError
from videofleet_worker.sources.events import SourceInfo
from videofleet_worker.sources.files import open_file
from videofleet_worker.sources.ondevice import DeviceDecoding, Says
from videofleet_worker.sources.process import ChildProcess, crash
from videofleet_worker.sources.ready import ReadyFrames
from videofleet_worker.sources.returned import ReturnedSlots
from videofleet_worker.sources.watchdog import Watchdog

# How long a child may take to say goodbye to its camera.
_GRACE = 1.0


class DecodeSession:
    """Forks a child, asks it to open the source, takes its frames, and ends it. For one consumer."""

    def __init__(self, request: messages.OpenRequest, watchdog: Watchdog, context: SessionContext) -> None:
        self._request = request
        self._watchdog = watchdog
        self._context = context
        self._ready = ReadyFrames(context.clock, context.counters)
        self._memory = RingMemory(request.frame_memory)
        self._ring: FrameRing | None = None
        self._returned = ReturnedSlots(self._say_free)
        self._masks = request.masks
        self._decoding: DeviceDecoding | None = None
        self._opened: messages.Opened | None = None
        self._info: SourceInfo | None = None
        self._outcome: SourceError | None = None
        self._over = False
        self._closed = False
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._dialling = DialService(
            context.dialer,
            request.io_timeout,
            context.picture or (lambda: open_file(request.url, context.file_roots)),
        )
        try:
            end, status = context.server.fork()
        except OSError:
            self._memory.close()
            raise
        self._channel = ChildChannel(end, self._on_word, self._handle, self._on_nonsense)
        self._process = ChildProcess(status, self._on_exit)

    @property
    def handed_over(self) -> bool:
        """Whether this process decodes, instead of the child."""
        return self._decoding is not None

    @property
    def pid(self) -> int | None:
        """The child, once it is known."""
        return self._process.pid

    def start(self) -> None:
        """Ask the child to open the source."""
        self._channel.open(self._request, [self._dialling.child_end.fileno(), self._memory.fd])
        self._memory.close()
        self._dialling.start()
        self._watchdog.started(self._context.clock.monotonic())
        self._watch()

    def use(self, masks: messages.UseMasks) -> None:
        """Have the child burn other masks into what it decodes from now on; it ends if it cannot be told."""
        self._masks = masks
        if self._over:
            return
        if self._decoding is not None:
            self._decoding.say(masks)
        try:
            self._channel.say(masks)
        except (BrokenPipeError, ConnectionResetError):
            # It has ended, and delivers nothing any more; it is about to be heard of.
            return
        except OSError as error:
            message = f"privacyMasks cannot be handed to the decoder ({error.strerror}); it was stopped"
            self._fail(SourceError(ErrorCode.INTERNAL, message))

    def watch(self, number: int) -> None:
        """Have the child hand its packets over, under this number; 0: no more. See DirectFeed."""
        # A child that takes no message has ended, or is about to be stopped for not answering.
        with contextlib.suppress(OSError):
            self._channel.say(messages.WatchDirect(number=number))

    async def next_frame(self) -> Frame | None:
        """The next frame, None at the regular end. Raises SourceError when the source failed."""
        while True:
            frame = self._ready.pop(live=self._is_live())
            if frame is not None:
                return frame
            if self._over:
                if self._outcome is not None:
                    raise self._outcome
                return None
            self._wake.clear()
            self._returned.hurry()
            await self._wake.wait()
            if not self._is_live():
                self._returned.gather()

    def end(self) -> None:
        """Deliver no more: the source is over, regularly."""
        self._finish(None)
        self._ready.drop()

    async def close(self) -> None:
        """End the child: politely, so that it can leave its camera, then by force."""
        if self._closed:
            return
        self._closed = True
        self._finish(None)
        self._ready.drop()
        # What is held for later would hold the memory, too.
        self._returned.hurry()
        self._channel.hang_up()
        # The session is in cycles (what it raised remembers it): its memory must not wait for a collector.
        self._ring = None
        self._memory.leave()
        try:
            if self._decoding is not None:
                await self._decoding.close()
            await self._dialling.close()
            await self._process.wait(_GRACE)
        finally:
            self._process.kill()
            self._process.close()
            self._channel.close()

    def _is_live(self) -> bool:
        return self._info is not None and self._info.live

    # What the child says

    def _on_word(self) -> None:
        self._watchdog.heard(self._context.clock.monotonic())

    def _on_nonsense(self) -> None:
        self._fail(SourceError(ErrorCode.INTERNAL, "the decoder sent what it must not send; it was stopped"))

    def _handle(self, message: messages.ChildMessage, data: bytes) -> None:
        if self._decoding is not None and isinstance(message, messages.RingReady | messages.FrameReady):
            raise ValueError("frames beside packets, in the same memory")
        match message:
            case messages.Opened():
                self._on_opened(message)
            case messages.RingReady():
                self._on_ring(message)
            case messages.FrameReady():
                self._on_frame(message)
            case messages.DirectBegins() | messages.DirectPiece():
                self._context.direct.heard(message, data)
            case messages.Progress():
                self._on_progress(message)
            case messages.HandOver():
                self._on_hand_over(message)
            case messages.PacketReady():
                self._on_packet(message)
            case messages.Ended():
                self._on_end(None)
            case messages.Failed(code=code, lost=lost):
                text = redact_text(message.message, self._request.password, self._request.username)
                self._on_end(SourceError(code, text) if lost is None else DecoderLostError(lost, text, code))
            case messages.Alive():
                # That it was heard is all there is to it.
                pass

    def _on_opened(self, message: messages.Opened) -> None:
        self._opened = message
        self._info = SourceInfo(**message.model_dump(exclude={"type"}))
        self._watchdog.opened(self._context.clock.monotonic(), live=message.live)
        self._tell()

    def _on_ring(self, message: messages.RingReady) -> None:
        if isinstance(self._ring, RingReader) and not self._ring.unused:
            raise ValueError("another ring over frames that are held")
        layout = self._request.layout(message.width, message.height)
        self._use_ring(RingReader(message.number, layout, self._memory.content))

    def _use_ring(self, ring: FrameRing) -> None:
        self._ring = ring
        if self._info is not None:
            # The size may have been unknown until now, and may change in mid-stream.
            self._info = replace(self._info, width=ring.width, height=ring.height)
            self._tell()

    def _tell(self) -> None:
        """From the loop, so that an error in there is not taken for one of the child's."""
        if self._info is not None:
            self._loop.call_soon(self._context.on_open, self._info)

    def _on_frame(self, message: messages.FrameReady) -> None:
        ring, context = self._ring, self._context
        if ring is None or ring.number != message.ring or self._info is None:
            raise ValueError("a frame in a ring that is not there")
        now = context.clock.monotonic()
        taken = min(message.taken, now)
        views = ring.take(message.slot)
        index, pts = context.position.place(message.index, message.pts, taken)
        header = FrameHeader(
            index,
            pts,
            message.capture_time,
            ring.width,
            ring.height,
            message.keyframe,
            message.full_range,
            message.masks,
            message.arrival,
            message.matrix,
        )
        self._watchdog.picture(now)
        frame = Frame(header, views, lambda: self._returned.put(ring, message.slot))
        self._ready.put(frame, taken, ring, live=self._info.live)
        self._wake.set()

    def _on_progress(self, message: messages.Progress) -> None:
        now = self._context.clock.monotonic()
        if message.received:
            self._watchdog.packets(now)
        if message.decoded or message.passed:
            # What nobody needs to see is as good as seen.
            self._watchdog.picture(now)
        self._context.counters.note(message)
        # From the loop, as `_tell`.
        self._loop.call_soon(self._context.on_progress, message)

    def _say_free(self, free: messages.SlotsFree, *, unblocks: bool) -> None:
        """Consumers have released frames; from any thread, also after the session is over."""
        if unblocks:
            self._watchdog.unblocked(self._context.clock.monotonic())
        if self._decoding is not None:
            self._decoding.say(free)
            return
        with contextlib.suppress(OSError):
            # An old ring's slots are nobody's; a closed socket's child is gone.
            self._channel.say(free)

    # Packets, where this process decodes them

    def _on_hand_over(self, message: messages.HandOver) -> None:
        station = self._context.station
        wanted = message.codec in self._request.packets and self._decoding is None and self._ring is None
        if station is None or not wanted or self._opened is None:
            raise ValueError("packets that nobody asked for")
        self._decoding = DeviceDecoding(
            self._request.model_copy(update={"masks": self._masks}),
            self._opened,
            message,
            station,
            PacketReader(self._memory.content),
            Says(self._on_own, self._use_ring, self._packet_used),
        )

    def _on_packet(self, message: messages.PacketReady) -> None:
        if self._decoding is None:
            raise ValueError("a packet in a memory that is not there")
        self._watchdog.packets(self._context.clock.monotonic())
        self._decoding.put(message)

    def _packet_used(self) -> None:
        with contextlib.suppress(OSError):
            self._channel.say(messages.PacketsTaken(count=1))

    def _on_own(self, message: messages.Message) -> None:
        try:
            self._handle_own(message)
        except ValueError as error:
            said = f"the decoder sent what it must not send ({error}); it was stopped"
            self._fail(SourceError(ErrorCode.INTERNAL, said))

    def _handle_own(self, message: messages.Message) -> None:
        """What the decoder in this process says."""
        match message:
            case messages.FrameReady():
                self._on_frame(message)
            case messages.Progress():
                self._on_progress(message)
            case messages.Ended():
                self._finish(None)
            case messages.Failed():
                self._finish(SourceError(message.code, message.message))

    def _on_end(self, failure: SourceError | None) -> None:
        """The child has nothing more to say. What it handed over before is decoded first."""
        if self._decoding is not None:
            self._decoding.end(failure)
        else:
            self._finish(failure)

    # How the child ends

    def _on_exit(self, code: int | None) -> None:
        # What it said last comes before how it died.
        while self._channel.receive():
            pass
        if self._decoding is None or not self._decoding.ending:
            self._finish(crash(code))

    def _watch(self) -> None:
        now = self._context.clock.monotonic()
        waiting = self._ring is not None and self._ring.full and not self._is_live()
        failure = self._watchdog.failure(now, consumer_waits=not waiting)
        if failure is not None:
            self._fail(failure)
        elif self._process.memory() > self._context.memory.own:
            # Before the pod's own limit is reached, for that would end all streams.
            limit = self._context.memory.own // 2**20
            message = f"the decoder took more than {limit} MiB of memory; it was stopped"
            self._fail(DecoderLostError(Lost.MEMORY, message))
        elif not self._over:
            self._timer = self._loop.call_later(self._watchdog.interval, self._watch)

    def _fail(self, failure: SourceError) -> None:
        self._finish(failure)
        self._process.kill()

    def _finish(self, outcome: SourceError | None) -> None:
        """The first outcome counts."""
        if self._over:
            return
        self._over, self._outcome = True, outcome
        if self._timer is not None:
            self._timer.cancel()
        self._wake.set()
