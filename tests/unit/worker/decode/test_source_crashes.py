"""Children that crash, hang, or send what they must not."""

import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.impostor import HUGE_RING, OPENED, RING, Impostor, frame_packet, plainly, with_ring
from tests.unit.worker.decode.reading import eventually, is_alive, read
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.forkserver import ForkServer
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.part import Part
from videofleet_worker.decode.sampling import Sampling
from videofleet_worker.memory import DecoderMemory
from videofleet_worker.sources.errors import Lost
from videofleet_worker.sources.events import Reconnected, Reconnecting, SourceEvent
from videofleet_worker.sources.reconnect import ReconnectPolicy
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource

TOO_MUCH = ["the decoder took more than 160 MiB of memory; it was stopped", "the decoder ran out of memory"]
ONCE = ReconnectPolicy(window=0)


def hit(source: StreamSource, number: signal.Signals, *indexes: int) -> Callable[[Frame], None]:
    """Sends its decoder a signal when these frames are there."""

    def strike(frame: Frame) -> None:
        if frame.index in indexes:
            assert source.pid is not None
            os.kill(source.pid, number)

    return strike


def story(events: list[SourceEvent]) -> list[str]:
    """What was told of losses, without the times."""
    told = [event for event in events if isinstance(event, Reconnecting | Reconnected)]
    return [event.message if isinstance(event, Reconnecting) else f"back: {event.error.message}" for event in told]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
async def test_a_crash_ends_a_stream_that_is_not_to_be_tried_again_with_its_signal(
    make_source: MakeSource, clip: Path, number: signal.Signals
) -> None:
    source = make_source(clip, slots=2, reconnect=ONCE)

    outcome = await read(source, hit(source, number, 5))

    assert outcome.failure.code is ErrorCode.INTERNAL
    assert outcome.failure.message == f"decoder crashed ({number.name})"
    assert 6 <= len(outcome.indexes) <= 8


@contextmanager
def no_more(kind: int, most: int) -> Iterator[None]:
    """Nothing more of this kind is to be had by the worker's process."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


async def test_a_worker_without_memory_to_share_starts_no_decoder(make_source: MakeSource, clip: Path) -> None:
    neighbour = make_source(clip, slots=2)
    indexes: list[int] = []
    async for frame in neighbour.frames():
        with frame:
            indexes.append(frame.index)
        if frame.index == 3:
            with no_more(resource.RLIMIT_FSIZE, 4096):
                refused = await read(make_source(clip))

    assert refused.failure.code is ErrorCode.INTERNAL
    assert refused.failure.message == "no decoder could be started: File too large"
    assert (refused.indexes, indexes) == ([], list(range(30)))


async def test_a_decoder_that_finds_no_page_for_its_frames_is_replaced_once_there_is_memory(
    make_source: MakeSource, clip: Path, events: list[SourceEvent]
) -> None:
    source = make_source(clip, slots=2)
    # What the kernel sends where a page of shared memory is written and there is none.
    strike = hit(source, signal.SIGBUS, 5)
    with ExitStack() as shortage:

        def use_up(frame: Frame) -> None:
            strike(frame)
            if frame.index == 5:
                shortage.enter_context(no_more(resource.RLIMIT_FSIZE, 4096))

        def relieve(event: SourceEvent) -> None:
            events.append(event)
            if isinstance(event, Reconnecting) and event.attempt == 2:
                shortage.close()

        source._on_event = relieve
        outcome = await read(source, use_up)

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))
    assert story(events) == [
        "decoder crashed (SIGBUS); attempt 1 at once",
        "no decoder could be started: File too large; attempt 2 in 0.5 s",
        "back: no decoder could be started: File too large",
    ]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
async def test_a_file_goes_on_after_the_last_frame_that_a_crashed_decoder_delivered(
    make_source: MakeSource, clip: Path, events: list[SourceEvent], number: signal.Signals
) -> None:
    undisturbed = await read(make_source(clip))
    plain = make_source(clip)
    await read(plain)
    events.clear()
    source = make_source(clip, slots=2)

    outcome = await read(source, hit(source, number, 5, 17))

    assert outcome.error is None
    assert (outcome.indexes, outcome.times, outcome.means) == (list(range(30)), undisturbed.times, undisturbed.means)
    lost = f"decoder crashed ({number.name})"
    assert story(events) == [
        f"{lost}; attempt 1 at once",
        f"back: {lost}",
        f"{lost}; attempt 2 in 0.5 s",
        f"back: {lost}",
    ]
    assert (source.counters.behind, source.counters.dropped) == (plain.counters.behind, plain.counters.dropped)
    assert source.counters.decoders_lost == {Lost.CRASH: 2}


async def test_a_sample_of_a_part_is_the_same_with_another_decoder_in_its_middle(
    make_source: MakeSource, clips: Path
) -> None:
    long = make_clip(clips / "long.mp4", ClipSpec(frames=60))
    options = {"sampling": Sampling("fps", 2.5), "part": Part(1.0, 5.5, "seconds"), "max_frames": 10}
    undisturbed = await read(make_source(long, **options))
    source = make_source(long, slots=2, **options)

    outcome = await read(source, hit(source, signal.SIGSEGV, undisturbed.indexes[4]))

    assert outcome.error is None
    assert len(undisturbed.indexes) == 10
    assert (outcome.indexes, outcome.times, outcome.means) == (
        undisturbed.indexes,
        undisturbed.times,
        undisturbed.means,
    )


async def test_a_file_that_hangs_its_decoder_goes_on_with_another(
    make_source: MakeSource, clip: Path, events: list[SourceEvent]
) -> None:
    source = make_source(clip, slots=2, stall_timeout=0.5, connect_timeout=4.0)
    stopped: list[int] = []

    def note(frame: Frame) -> None:
        if frame.index == 5 and source.pid is not None:
            stopped.append(source.pid)
        hit(source, signal.SIGSTOP, 5)(frame)

    outcome = await read(source, note)

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))
    assert story(events)[0] == "the decoder said nothing for 6 s; it was stopped; attempt 1 at once"
    assert source.counters.decoders_lost == {Lost.HANG: 1}
    await eventually(lambda: not is_alive(stopped[0]), "the child is dead")


@pytest.mark.parametrize(
    ("fault", "how", "said"),
    [
        pytest.param("crash@8", Lost.CRASH, ["decoder crashed (SIGSEGV)"], id="a null pointer"),
        pytest.param("hang@8", Lost.HANG, ["the decoder said nothing for 1 s; it was stopped"], id="a hang"),
        pytest.param("leak@8", Lost.MEMORY, TOO_MUCH, id="a leak"),
    ],
)
async def test_a_live_source_gets_another_decoder_at_once(
    make_source: MakeSource, events: list[SourceEvent], fault: str, how: Lost, said: list[str]
) -> None:
    address = f"test://pattern?width=64&height=48&fps=20&fail={fault}"
    memory = DecoderMemory(own=160 * 2**20, frames=16 * 2**20)
    # Only who hangs is to be found hung, however long the others have to wait for their turn.
    source = make_source(address, memory=memory, stall_timeout=1.0 if how is Lost.HANG else 60.0)

    outcome = await read(source, enough=12)

    assert outcome.error is None
    lost, back, *_ = (event for event in events if isinstance(event, Reconnecting | Reconnected))
    assert isinstance(lost, Reconnecting)
    assert isinstance(back, Reconnected)
    assert (lost.delay, back.error) == (0, lost.error)
    assert lost.error.message in said
    assert source.counters.decoders_lost[how] >= 1
    assert outcome.indexes == sorted(set(outcome.indexes))
    assert outcome.times == sorted(outcome.times)


@pytest.mark.parametrize("length", ["", "&frames=100"], ids=["live", "recorded"])
async def test_a_source_that_kills_every_decoder_ends_with_its_reason(
    make_source: MakeSource, events: list[SourceEvent], length: str
) -> None:
    source = make_source(f"test://pattern?width=64&height=48&fps=100{length}&fail=crash@3")

    outcome = await read(source)

    assert outcome.failure.code is ErrorCode.INTERNAL
    assert outcome.failure.message == "decoder crashed (SIGSEGV); 6 decoders were lost within 10 minutes"
    tried = [event.delay for event in events if isinstance(event, Reconnecting)]
    assert tried == [0, 0.5, 1, 2, 4]
    if length:
        assert outcome.indexes == [0, 1, 2], "no frame was told twice"


async def test_a_fork_server_that_dies_costs_no_stream_its_end(
    make_source: MakeSource, server: ForkServer, clip: Path
) -> None:
    source = make_source(clip, slots=2)

    def strike(frame: Frame) -> None:
        if frame.index == 5:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)

    outcome = await read(source, strike)

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


async def test_a_crash_is_not_the_neighbours(make_source: MakeSource, clip: Path) -> None:
    crashing, other = make_source(clip, slots=2, reconnect=ONCE), make_source(clip, slots=2)
    indexes: list[int] = []
    async for frame in other.frames():
        with frame:
            indexes.append(frame.index)
        if frame.index == 3:
            outcome = await read(crashing, lambda _: os.kill(crashing.pid or 0, signal.SIGSEGV))
            assert outcome.failure.code is ErrorCode.INTERNAL

    assert indexes == list(range(30))


async def test_closing_ends_the_child_and_the_frames(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=2)
    frames = source.frames()
    first = await anext(frames)
    pid = source.pid
    assert pid is not None

    await source.close()

    await eventually(lambda: not is_alive(pid), "the child is dead")
    assert [frame async for frame in frames] == []
    # What is held stays readable, and giving it back is harmless.
    assert first.planes[0].shape == (48, 64)
    first.release()


async def test_leaving_the_loop_ends_the_child(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=2)
    outcome = await read(source, enough=3)
    pid = source.pid

    assert outcome.indexes == [0, 1, 2]
    assert pid is not None
    await eventually(lambda: not is_alive(pid), "the child is dead")


@pytest.mark.parametrize(
    "say",
    [
        pytest.param(plainly(b"\xff\x00garbage"), id="no JSON"),
        pytest.param(plainly(b"[" * 50_000), id="deep nesting"),
        pytest.param(plainly(b'{"type":"free","ring":0,"slot":0}'), id="a message of the parent"),
        pytest.param(plainly(OPENED.replace(b"64", b"1e9")), id="a size that is no number of pixels"),
        pytest.param(plainly(OPENED.replace(b"10.0", b"NaN")), id="a rate that is no number"),
        pytest.param(plainly(OPENED, frame_packet(0, 0, "0.0")), id="a frame without a ring"),
        pytest.param(plainly(OPENED, HUGE_RING), id="a ring larger than its memory"),
        pytest.param(with_ring(frame_packet(0, 0, "0.0"), RING), id="a ring over frames that are held"),
        pytest.param(with_ring(frame_packet(4, 0, "0.0")), id="a slot outside"),
        pytest.param(with_ring(frame_packet(1, 0, "0.0"), frame_packet(1, 1, "0.1")), id="a slot that is taken"),
        pytest.param(with_ring(frame_packet(0, 5, "0.5"), frame_packet(1, 4, "0.6")), id="numbers that go back"),
        pytest.param(with_ring(frame_packet(0, 0, "1e999")), id="an endless time"),
        pytest.param(plainly(b'{"type":"progress","received":1,"decoded":-1,"dropped":{}}'), id="a negative count"),
    ],
)
async def test_a_child_that_lies_is_stopped(say: Callable[[socket.socket], None]) -> None:
    impostor = Impostor(say)
    request = SourceRequest("http://camera/", model_size=(32, 24))
    source = StreamSource(request, slots=4, server=impostor, memory=DecoderMemory(frames=64 * 2**20))

    outcome = await read(source)

    assert outcome.failure.code is ErrorCode.INTERNAL
    assert outcome.failure.message == "the decoder sent what it must not send; it was stopped"
    impostor.close()


async def test_what_a_child_says_of_its_failure_is_redacted() -> None:
    failed = (
        b'{"type":"failed","code":"NETWORK",'
        b'"message":"cannot open rtsp://admin:hunter2@camera/1?token=abc with hunter2"}'
    )
    impostor = Impostor(plainly(failed))
    request = SourceRequest("rtsp://camera/1", username="admin", password="hunter2")

    outcome = await read(StreamSource(request, server=impostor))

    assert outcome.failure.code is ErrorCode.NETWORK
    assert not {"hunter2", "admin", "abc"} & set(outcome.failure.message.replace("@", " ").replace("=", " ").split())
    assert "hunter2" not in str(outcome.failure)
    impostor.close()
