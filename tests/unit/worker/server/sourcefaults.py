"""What sources do wrong, as a table: how each is put up, and the phase and the code that it ends with."""

import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.cameras import CLIP, CameraSimulator
from tests.unit.worker.decode.clips import ClipSpec, cut_in_frame, damage_frame, encode_audio, make_clip
from tests.unit.worker.decode.faulty import (
    ENDLESS_PLAYLIST,
    answering,
    endless,
    flipped,
    free_datagram_port,
    huge_picture,
    joined_late,
    sent_badly,
    shifted,
    shortly_before_the_wrap,
    without_timestamps,
)
from tests.unit.worker.decode.webserver import Page, WebServer
from videofleet_api.codes import ErrorCode
from videofleet_api.phases import Phase

C, P = ErrorCode, Phase
FRAMES = 20
TS = ClipSpec(frames=FRAMES, container="mpegts")
METADATA = "169.254.169.254"


@dataclass
class Sources:
    """Where wrong sources are put up."""

    folder: Path
    web: WebServer
    cameras: CameraSimulator
    stack: ExitStack

    def page(self, name: str, page: Page) -> str:
        """Serve it; its address."""
        self.web.pages[f"/{name}"] = page
        return self.web.url(f"/{name}")

    def file(self, name: str, body: bytes) -> str:
        """Serve a file; its address."""
        return self.page(name, Page(body))

    def clip(self, name: str, spec: ClipSpec = TS) -> Path:
        """A clip of its own."""
        return make_clip(self.folder / name, spec)

    def answering(self, *answers: str) -> str:
        """A camera that says no more than this."""
        port, _ = self.stack.enter_context(answering(*answers))
        return f"rtsp://127.0.0.1:{port}/1"

    def silent(self, scheme: str) -> str:
        """A server that accepts, and says nothing."""
        listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        return f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/1"


@dataclass(frozen=True)
class Fault:
    """`put_up` gives the address. `code` None: the stream goes on to its end, with `frames` where their number is
    known. `strike`: what happens once its first frame was analysed."""

    phase: Phase
    code: ErrorCode | None
    put_up: Callable[[Sources], str]
    says: str = ""
    frames: int | None = None
    source: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    strike: Callable[[Sources], None] | None = None


def goes_on(put_up: Callable[[Sources], str], frames: int | None = None, **fields: Any) -> Fault:
    return Fault(P.COMPLETED, None, put_up, frames=frames, **fields)


def camera(number: int, fault: str, **fields: Any) -> dict[str, Any]:
    """A camera of the simulator that gets this fault while it is watched."""
    spec = {"sampling": {"mode": "fps", "value": 2}, "reconnectWindow": 0} | fields
    path = f"/cam{number}"
    return {
        "put_up": lambda on: on.cameras.rtsp(path),
        "spec": spec,
        "strike": lambda on: on.cameras.fault(path, fault),
    }


def truncated(on: Sources) -> str:
    path = on.clip("truncated.mp4", ClipSpec(frames=FRAMES))
    cut_in_frame(path, 12)
    return on.file(path.name, path.read_bytes())


def damaged(name: str, frames: Sequence[int], of: int) -> Callable[[Sources], str]:
    def put_up(on: Sources) -> str:
        path = on.clip(name, ClipSpec(frames=of, gop=1))
        for index in frames:
            damage_frame(path, index)
        return on.file(name, path.read_bytes())

    return put_up


def both(name: str, *offsets: float) -> Callable[[Sources], str]:
    """A transport stream whose timestamps begin so late, one after the other."""
    return lambda on: on.file(name, b"".join(shifted(on.clip(f"{name}-{each}.ts"), each) for each in offsets))


def joined_in_a_group(on: Sources) -> str:
    spec = ClipSpec(frames=FRAMES, gop=8, container="mpegts", codec="libx265", width=128, height=96)
    return on.file("joined.ts", joined_late(on.clip("hevc.ts", spec), 5))


def of_uneven_rate(on: Sources) -> str:
    parts = [on.clip(f"rate-{fps}.ts", replace(TS, fps=fps)) for fps in (25, 5)]
    return on.file("rates.ts", b"".join(path.read_bytes() for path in parts))


def of_two_sizes(on: Sources) -> str:
    parts = [on.clip(f"size-{width}.ts", replace(TS, width=width)) for width in (64, 128)]
    return on.file("sizes.ts", b"".join(path.read_bytes() for path in parts))


def another_codec(on: Sources) -> None:
    second = on.clip("second.ts", ClipSpec(container="mpegts", codec="libx265", width=128, height=96))
    on.web.pages["/camera.ts"] = Page(second.read_bytes())


def with_nonces_that_expire(on: Sources) -> str:
    content = on.clip("locked.mp4", ClipSpec(frames=FRAMES)).read_bytes()
    page = Page(content, login="admin:secret", digest=True, expires=True, give_up_after=len(content) * 3 // 10)
    return on.page("locked.mp4", page)


def throttling(on: Sources) -> str:
    content = on.clip("throttled.mp4", ClipSpec(frames=FRAMES)).read_bytes()
    page = Page(content, give_up_after=len(content) * 4 // 10, later=[503, 429])
    return on.page("throttled.mp4", page)


def changing(on: Sources) -> str:
    # Long enough that its first frames are there before the second connection is.
    content = CLIP.read_bytes()
    url = on.page("changing.mp4", Page(content, give_up_after=len(content) * 6 // 10))
    return url.replace("127.0.0.1", "changing.test")


def losing_packets(on: Sources) -> str:
    content = on.clip("lost.ts", ClipSpec(container="mpegts", fps=25, width=320, height=240, gop=5)).read_bytes()
    port = free_datagram_port()
    on.stack.enter_context(sent_badly(content, port))
    return f"udp://0.0.0.0:{port}"


def without_an_end(on: Sources) -> str:
    return f"http://127.0.0.1:{on.stack.enter_context(endless(*ENDLESS_PLAYLIST))}/list.m3u8"


FAULTS = {
    # Before anything could be seen.
    "zeros": Fault(P.MISCONFIGURED, C.UNSUPPORTED, lambda on: on.file("zeros.mp4", bytes(100_000)), "not a video"),
    "text": Fault(P.MISCONFIGURED, C.UNSUPPORTED, lambda on: on.file("text.txt", b"a line\n" * 5000), "not a video"),
    "sound alone": Fault(P.MISCONFIGURED, C.UNSUPPORTED, lambda on: on.file("sound.mp4", encode_audio()), "only audio"),
    "nothing but damage": Fault(P.MISCONFIGURED, C.CODEC, damaged("damage.mp4", (0, 1, 2), 3), "could be decoded"),
    "a picture of 16k x 16k": Fault(
        P.MISCONFIGURED,
        C.UNSUPPORTED,
        lambda on: on.file("huge.png", huge_picture()),
        "too large",
        spec={"images": True},
    ),
    "a playlist without an end": Fault(P.MISCONFIGURED, C.UNSUPPORTED, without_an_end, "larger than 16 MiB"),
    "an HTTP server that says nothing": Fault(P.NOT_STARTED, C.TIMEOUT, lambda on: on.silent("http")),
    "a camera that says nothing": Fault(P.NOT_STARTED, C.TIMEOUT, lambda on: on.silent("rtsp")),
    "a wrong password": Fault(
        P.NOT_STARTED,
        C.AUTH,
        lambda on: on.cameras.rtsp("/secure"),
        source={"username": "camera", "password": "wr0ng"},
    ),
    "no such camera": Fault(P.NOT_STARTED, C.NOT_FOUND, lambda on: on.cameras.rtsp("/nowhere")),
    "a camera at its limit (453)": Fault(
        P.NOT_STARTED, C.NETWORK, lambda on: on.answering("453 Not Enough Bandwidth"), "no room"
    ),
    "a camera at its limit (503)": Fault(
        P.NOT_STARTED, C.NETWORK, lambda on: on.answering("503 Service Unavailable"), "503"
    ),
    "a redirect inside": Fault(
        P.NOT_STARTED, C.FORBIDDEN, lambda on: on.page("moved", Page(moved=f"http://{METADATA}/latest")), METADATA
    ),
    "a camera's redirect inside": Fault(
        P.NOT_STARTED,
        C.FORBIDDEN,
        lambda on: on.answering(f"302 Found\r\nLocation: rtsp://{METADATA}/latest"),
        METADATA,
    ),
    "a store that throttles": Fault(P.NOT_STARTED, C.NETWORK, lambda on: on.page("slow-down", Page(status=503))),
    "a store that knows the keys no more": Fault(
        P.NOT_STARTED, C.AUTH, lambda on: on.page("no-more", Page(status=403))
    ),
    # In the middle.
    "a truncated file": Fault(P.INTERRUPTED, C.CODEC, truncated, f"file ends at frame 13 of {FRAMES}"),
    "a name that changes its address": Fault(
        P.INTERRUPTED, C.FORBIDDEN, changing, METADATA, spec={"sampling": {"mode": "interval", "value": 20}}
    ),
    "a camera that is gone": Fault(P.INTERRUPTED, C.NETWORK, **camera(1, "stop")),
    "a camera that falls silent": Fault(P.INTERRUPTED, C.STALLED, **camera(2, "silence")),
    "a password that is changed": Fault(P.INTERRUPTED, C.AUTH, **camera(3, "wrong-password", reconnectWindow=30)),
    # What goes on.
    "another size after a reconnect": Fault(
        P.COMPLETED, None, frames=30, **camera(4, "resolution", reconnectWindow=30, maxFrames=30)
    ),
    "a frozen picture": Fault(P.COMPLETED, None, frames=12, **camera(5, "freeze", maxFrames=12)),
    "a black picture": Fault(P.COMPLETED, None, frames=12, **camera(6, "black", maxFrames=12)),
    "another codec after a reconnect": goes_on(
        lambda on: on.file("camera.ts", on.clip("first.ts").read_bytes()),
        source={"kind": "live"},
        spec={"maxFrames": 35},
        frames=35,
        strike=another_codec,
    ),
    "packets lost and reordered": goes_on(losing_packets, 10, spec={"maxFrames": 10}),
    "timestamps that jump": goes_on(both("jump.ts", 0, 36_000), 2 * FRAMES),
    "timestamps that run backwards": goes_on(both("back.ts", 36_000, 0), 2 * FRAMES),
    "timestamps that wrap": goes_on(both("wrap.ts", shortly_before_the_wrap(2.4)), FRAMES),
    "timestamps that are missing": goes_on(
        lambda on: on.file("bare.h264", without_timestamps(on.clip("timed.ts"))), FRAMES
    ),
    "a rate that varies": goes_on(of_uneven_rate, 2 * FRAMES),
    "another size in mid-stream": goes_on(of_two_sizes, 2 * FRAMES),
    "HEVC joined in the middle of a group": goes_on(joined_in_a_group),
    "damage in the middle": goes_on(damaged("holes.mp4", (5, 9), FRAMES), FRAMES - 2),
    "flipped bits": goes_on(lambda on: on.file("flipped.ts", flipped(on.clip("whole.ts").read_bytes(), 1, bits=8))),
    "nonces that expire": goes_on(with_nonces_that_expire, FRAMES, source={"username": "admin", "password": "secret"}),
    "a store that throttles in mid-file": goes_on(throttling, FRAMES),
}
