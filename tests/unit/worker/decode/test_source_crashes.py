"""Children that crash, hang, or send what they must not."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.impostor import HUGE_RING, OPENED, RING, Impostor, frame_packet, plainly, with_ring
from tests.unit.worker.decode.reading import eventually, is_alive, read
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.frame import Frame
from videofleet_worker.memory import DecoderMemory
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
async def test_a_crash_ends_the_stream_with_its_signal(
    make_source: MakeSource, clip: Path, number: signal.Signals
) -> None:
    source = make_source(clip, slots=2)

    def crash(frame: Frame) -> None:
        if frame.index == 5:
            assert source.pid is not None
            os.kill(source.pid, number)

    outcome = await read(source, crash)

    assert outcome.failure.code is ErrorCode.INTERNAL
    assert outcome.failure.message == f"decoder crashed ({number.name})"
    assert 6 <= len(outcome.indexes) <= 8


async def test_a_crash_is_not_the_neighbours(make_source: MakeSource, clip: Path) -> None:
    crashing, other = make_source(clip, slots=2), make_source(clip, slots=2)
    indexes: list[int] = []
    async for frame in other.frames():
        with frame:
            indexes.append(frame.index)
        if frame.index == 3:
            outcome = await read(crashing, lambda _: os.kill(crashing.pid or 0, signal.SIGSEGV))
            assert outcome.failure.code is ErrorCode.INTERNAL

    assert indexes == list(range(30))


async def test_a_hanging_child_is_killed(make_source: MakeSource, clip: Path) -> None:
    source = make_source(clip, slots=2, stall_timeout=0.5)
    stopped: list[int] = []

    def hang(frame: Frame) -> None:
        if frame.index == 5:
            assert source.pid is not None
            stopped.append(source.pid)
            os.kill(source.pid, signal.SIGSTOP)

    outcome = await read(source, hang)

    assert outcome.failure.code is ErrorCode.STALLED
    await eventually(lambda: not is_alive(stopped[0]), "the child is dead")


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
