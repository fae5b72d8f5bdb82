"""Cameras over RTSP, from the simulator, which also breaks them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.support.cameras import CameraSimulator
from tests.unit.simulator.certificates import write_certificate
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import DEADLINE, Outcome, eventually, read
from tests.unit.worker.decode.rtspgate import gate
from tests.unit.worker.decode.wrongclock import clock_set, held_back
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.capture import MOST_DELAY
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.sampling import Sampling
from videofleet_worker.device.host import HostDevice
from videofleet_worker.sources.events import ClockChanged, Opened, Reconnected, Reconnecting, SourceEvent
from videofleet_worker.sources.ondevice import DecodeStation
from videofleet_worker.sources.reconnect import ReconnectPolicy
from videofleet_worker.sources.stream import StreamSource


@pytest.fixture(scope="session")
def running_cameras() -> Iterator[CameraSimulator]:
    with CameraSimulator(["--cameras", "2"]) as simulator:
        yield simulator


@pytest.fixture
def cameras(running_cameras: CameraSimulator) -> Iterator[CameraSimulator]:
    """The simulator, healed afterwards."""
    yield running_cameras
    running_cameras.fault("*", "none")


@pytest.mark.parametrize(("password", "frames"), [("secret", 5), ("another", 0)])
async def test_a_camera_whose_nonces_are_good_for_one_request(
    make_source: MakeSource, cameras: CameraSimulator, password: str, frames: int
) -> None:
    async with gate(cameras.port("rtsp"), "admin", "secret") as opened:
        url = f"rtsp://127.0.0.1:{opened.port}/cam1"
        source = make_source(url, transport="tcp", username="admin", password=password)
        outcome = await read(source, enough=5)

    assert len(outcome.indexes) == frames
    if frames:
        assert {"DESCRIBE", "SETUP", "PLAY"} <= set(opened.let)
        assert opened.expired >= 2, "each request after the first was answered to an old one"
    else:
        assert (outcome.failure.code, opened.let) == (ErrorCode.AUTH, [])


async def start(source: StreamSource, outcome: Outcome, release: asyncio.Event) -> "asyncio.Task[Outcome]":
    """Read in the background until `release` is set; returns once frames come."""

    async def run() -> Outcome:
        async for frame in source.frames():
            with frame:
                outcome.note(frame)
            if release.is_set():
                break
        return outcome

    task = asyncio.create_task(run())
    await eventually(lambda: task.done() or len(outcome.indexes) >= 3, "frames come")
    return task


def is_sound(outcome: Outcome) -> bool:
    """Numbers and times grow, over all reconnects."""
    return outcome.indexes == sorted(set(outcome.indexes)) and outcome.times == sorted(set(outcome.times))


@pytest.mark.parametrize("transport", ["auto", "tcp", "udp"])
async def test_frames_come_as_they_are_taken(make_source: MakeSource, cameras: CameraSimulator, transport: str) -> None:
    source = make_source(cameras.rtsp("/cam1"), transport=transport)

    outcome = await read(source, enough=12)

    assert outcome.error is None
    assert is_sound(outcome)
    assert set(outcome.sizes) == {(768, 576)}
    assert source.info is not None
    assert (source.info.live, source.info.fps, source.info.total_frames) == (True, 10.0, None)


async def test_what_piled_up_while_the_source_was_opened_is_not_taken_for_new(
    make_source: MakeSource, cameras: CameraSimulator
) -> None:
    taken: list[float] = []
    async with held_back(cameras.port("rtsp"), 8.0) as port:
        source = make_source(f"rtsp://127.0.0.1:{port}/cam1", transport="tcp")
        outcome = await read(source, lambda frame: taken.append(frame.arrival), enough=12)

    assert outcome.error is None
    # Of what was new eight seconds would be missing here; a busy machine has not that much to add.
    assert taken[-1] - taken[0] == pytest.approx(outcome.times[-1] - outcome.times[0], abs=4.0)


@pytest.mark.parametrize(
    ("transport", "station"),
    [("tcp", None), ("udp", None), ("tcp", DecodeStation(HostDevice(), None))],
    ids=["tcp", "udp", "decoded in this process"],
)
async def test_frames_are_dated_by_the_clock_of_the_camera(
    make_source: MakeSource,
    cameras: CameraSimulator,
    events: list[SourceEvent],
    transport: str,
    station: DecodeStation | None,
) -> None:
    source = make_source(cameras.rtsp("/cam1"), transport=transport, station=station)
    delays: list[float] = []

    await read_until(source, lambda: source.counters.clock == "camera" and len(delays) > 12, delays)

    (changed,) = [event for event in events if isinstance(event, ClockChanged)]
    assert changed.message.startswith("frames are dated by the camera's clock")
    assert source.counters.delay == pytest.approx(delays[-1], abs=0.5)
    assert 0 < delays[-1] < MOST_DELAY, "taken a while before it came"


@pytest.mark.parametrize("ahead", [-86_400, 30])
async def test_a_camera_with_a_wrong_clock_dates_nothing(
    make_source: MakeSource, cameras: CameraSimulator, events: list[SourceEvent], ahead: int
) -> None:
    async with clock_set(cameras.port("rtsp"), ahead) as port:
        source = make_source(f"rtsp://127.0.0.1:{port}/cam1", transport="tcp")
        delays: list[float] = []
        await read_until(source, lambda: source.counters.clock == "implausible" and len(delays) > 12, delays)

    assert set(delays) == {0.0}
    assert source.counters.delay == pytest.approx(-ahead, abs=10)
    (changed,) = [event for event in events if isinstance(event, ClockChanged)]
    assert ("ahead of" if ahead > 0 else "behind") in changed.message


async def read_until(source: StreamSource, enough: Callable[[], bool], delays: list[float]) -> None:
    """Note how long after it was taken each frame came."""
    async with asyncio.timeout(DEADLINE), aclosing(source.frames()) as frames:
        async for frame in frames:
            with frame:
                delays.append(frame.arrival - frame.capture_time)
            if enough():
                break
    await source.close()


@asynccontextmanager
async def secure_front(certificate: tuple[Path, Path], port: int) -> AsyncIterator[int]:
    """Speaks TLS on the port that it yields, and passes what is said to another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, behind_writer), copy(behind_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def test_frames_come_over_tls(make_source: MakeSource, cameras: CameraSimulator, tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path)
    async with secure_front(certificate, cameras.port("rtsp")) as port:
        url = f"rtsps://127.0.0.1:{port}/cam1"
        known = await read(make_source(url, ca_file=str(certificate[0])), enough=12)
        unknown = await read(make_source(url), enough=1)

    assert known.error is None
    assert is_sound(known)
    assert unknown.failure.code is ErrorCode.TLS


async def test_the_camera_is_told_goodbye(make_source: MakeSource, cameras: CameraSimulator) -> None:
    await read(make_source(cameras.rtsp("/cam1")), enough=2)

    await eventually(lambda: cameras.cameras()["/cam1"].viewers == 0, "nobody watches any more")


@pytest.mark.parametrize(
    ("path", "login", "code"),
    [
        ("/secure", (None, None), ErrorCode.AUTH),
        ("/secure", ("camera", "wrong"), ErrorCode.AUTH),
        ("/nowhere", (None, None), ErrorCode.NOT_FOUND),
    ],
)
async def test_refusals(
    make_source: MakeSource,
    cameras: CameraSimulator,
    path: str,
    login: tuple[str | None, str | None],
    code: ErrorCode,
    events: list[SourceEvent],
) -> None:
    outcome = await read(make_source(cameras.rtsp(path), username=login[0], password=login[1]))

    assert outcome.failure.code is code
    # Before the first frame nothing is tried again: that is for the operator to decide.
    assert events == []


async def test_the_right_password(make_source: MakeSource, cameras: CameraSimulator) -> None:
    outcome = await read(make_source(cameras.rtsp("/secure"), username="camera", password="s3cret"), enough=3)

    assert outcome.error is None


async def test_keyframes_come_without_waiting_for_the_next(make_source: MakeSource, cameras: CameraSimulator) -> None:
    source = make_source(cameras.rtsp("/cam1"), sampling=Sampling("keyframe"))

    outcome = await read(source, enough=2)

    assert outcome.keyframes == outcome.indexes
    # The clip has one every 10 to 20 frames; those between were not decoded.
    assert outcome.indexes[1] - outcome.indexes[0] >= 10
    assert source.counters.passed_frames >= 9 * (source.counters.decoded_frames - 1)


async def test_a_camera_that_stops_and_returns(
    make_source: MakeSource, cameras: CameraSimulator, events: list[SourceEvent]
) -> None:
    source = make_source(cameras.rtsp("/cam1"))
    outcome, enough = Outcome(), asyncio.Event()
    task = await start(source, outcome, enough)

    await asyncio.to_thread(cameras.fault, "/cam1", "stop")
    await eventually(lambda: sum(isinstance(event, Reconnecting) for event in events) >= 2, "a second attempt")
    before = len(outcome.indexes)
    await asyncio.to_thread(cameras.fault, "/cam1", "none")
    await eventually(lambda: len(outcome.indexes) > before + 2, "frames come again")
    enough.set()
    await task
    await source.close()

    assert isinstance(events[0], Opened)
    attempts = [event for event in events if isinstance(event, Reconnecting)]
    assert [event.attempt for event in attempts] == list(range(1, len(attempts) + 1))
    assert [event.delay for event in attempts] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0][: len(attempts)]
    assert attempts[0].error.code is ErrorCode.NETWORK
    assert {event.error.code for event in attempts[1:]} == {ErrorCode.NOT_FOUND}
    (back,) = [event for event in events if isinstance(event, Reconnected)]
    assert back.gap_seconds >= 1.0
    assert source.counters.reconnects == 1
    assert is_sound(outcome)
    # The time of the run went on while nothing came: before each of two attempts at least.
    assert outcome.times[before] - outcome.times[before - 1] >= 1.0


@asynccontextmanager
async def slowly(camera: int, bytes_a_second: int) -> AsyncIterator[int]:
    """A port of the loopback address; what the camera behind it says comes through no faster than that."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_camera, to_camera = await asyncio.open_connection("127.0.0.1", camera, limit=2048)

        async def ask() -> None:
            while data := await reader.read(4096):
                to_camera.write(data)

        asking = asyncio.create_task(ask())
        with suppress(OSError):
            while data := await from_camera.read(bytes_a_second // 10):
                writer.write(data)
                await asyncio.sleep(len(data) / bytes_a_second)
        asking.cancel()
        to_camera.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def test_a_camera_that_is_slower_than_its_pictures_goes_on_and_its_neighbour_does_not_notice(
    make_source: MakeSource, cameras: CameraSimulator, events: list[SourceEvent]
) -> None:
    async with slowly(cameras.port("rtsp"), 30_000) as port:
        slow = make_source(f"rtsp://127.0.0.1:{port}/cam1", transport="tcp")
        beside = make_source(cameras.rtsp("/cam2"))
        enough = asyncio.Event()
        seen = Outcome()
        task = await start(beside, seen, enough)
        before = len(seen.indexes)
        outcome = await read(slow, enough=20)
        enough.set()
        await task
        await beside.close()

    assert (outcome.error, len(outcome.indexes)) == (None, 20)
    assert is_sound(outcome)
    assert not [event for event in events if isinstance(event, Reconnecting)]
    assert len(seen.indexes) - before > len(outcome.indexes)


async def test_a_camera_that_stays_away(
    make_source: MakeSource, cameras: CameraSimulator, events: list[SourceEvent]
) -> None:
    source = make_source(cameras.rtsp("/cam1"), reconnect=ReconnectPolicy(window=1.0))

    def stop(frame: Frame) -> None:
        if len(events) == 1:
            cameras.fault("/cam1", "stop")

    outcome = await read(source, stop)

    assert outcome.failure.code is ErrorCode.NOT_FOUND
    assert sum(isinstance(event, Reconnecting) for event in events) == 1


async def test_a_silent_camera_has_stalled(make_source: MakeSource, cameras: CameraSimulator) -> None:
    source = make_source(cameras.rtsp("/cam1"), stall_timeout=1.0, reconnect=ReconnectPolicy(window=0.0))
    outcome, enough = Outcome(), asyncio.Event()
    task = await start(source, outcome, enough)

    await asyncio.to_thread(cameras.fault, "/cam1", "silence")
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    await source.close()

    assert getattr(ended, "code", None) is ErrorCode.STALLED


async def test_a_new_password_ends_the_epoch_at_once(
    make_source: MakeSource, cameras: CameraSimulator, events: list[SourceEvent]
) -> None:
    source = make_source(cameras.rtsp("/cam1"))
    outcome, enough = Outcome(), asyncio.Event()
    task = await start(source, outcome, enough)

    await asyncio.to_thread(cameras.fault, "/cam1", "wrong-password")
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    await source.close()

    assert getattr(ended, "code", None) is ErrorCode.AUTH
    assert sum(isinstance(event, Reconnecting) for event in events) == 1


async def test_another_resolution_after_a_reconnect(make_source: MakeSource, cameras: CameraSimulator) -> None:
    source = make_source(cameras.rtsp("/cam1"))
    outcome, enough = Outcome(), asyncio.Event()
    task = await start(source, outcome, enough)

    await asyncio.to_thread(cameras.fault, "/cam1", "resolution")
    await eventually(lambda: outcome.sizes[-1] == (384, 288), "small pictures come")
    enough.set()
    await task
    await source.close()

    assert source.info is not None
    assert (source.info.width, source.info.height) == (384, 288)
    assert is_sound(outcome)


async def test_closing_while_waiting_to_reconnect(
    make_source: MakeSource, cameras: CameraSimulator, events: list[SourceEvent]
) -> None:
    source = make_source(cameras.rtsp("/cam1"), reconnect=ReconnectPolicy(window=None))
    outcome, enough = Outcome(), asyncio.Event()
    task = await start(source, outcome, enough)
    await asyncio.to_thread(cameras.fault, "/cam1", "stop")
    await eventually(lambda: sum(isinstance(event, Reconnecting) for event in events) >= 3, "a third attempt")

    await source.close()

    assert await task is outcome
