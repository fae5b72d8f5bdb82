"""Decoders that go wrong beside one that does not: each ends its own stream with a reason, and the other one's frames
are what they always are. The faults are real ones of a real child (`test://...&fail=`)."""

import asyncio
from pathlib import Path

import pytest

from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import eventually, is_alive, read
from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.forkserver import ForkServer
from videofleet_worker.memory import DecoderMemory
from videofleet_worker.sources.reconnect import ReconnectPolicy

MIB = 2**20
SMALL = DecoderMemory(own=160 * MIB, frames=16 * MIB)
HUNG = ("the decoder said nothing for 1 s; it was stopped", "the decoder said nothing for 6 s; it was stopped")
CRASHED = "decoder crashed (SIGSEGV)"
TOO_MUCH = ("the decoder took more than 160 MiB of memory; it was stopped", "the decoder ran out of memory")


def children(server: ForkServer) -> set[int]:
    """The processes of all decoders."""
    tasks = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    return {int(number) for number in tasks.split() if is_alive(int(number))}


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        pytest.param("crash", ErrorCode.INTERNAL, [CRASHED], id="a null pointer"),
        pytest.param(
            "hang",
            ErrorCode.STALLED,
            HUNG,
            id="a hang",
        ),
        pytest.param("leak", ErrorCode.INTERNAL, TOO_MUCH, id="a leak"),
        pytest.param("fork", ErrorCode.INTERNAL, ["the decoder failed (PermissionError)"], id="a fork bomb"),
        pytest.param("threads", ErrorCode.INTERNAL, ["the decoder failed (RuntimeError)"], id="a thread bomb"),
    ],
)
@pytest.mark.parametrize("speed", ["", "&fps=20"], ids=["recorded", "live"])
async def test_a_decoder_that_goes_wrong_is_its_own_streams_end(
    make_source: MakeSource, server: ForkServer, fault: str, code: ErrorCode, said: list[str], speed: str
) -> None:
    length = "" if speed else "&frames=100000"
    neighbour = make_source("test://pattern?width=320&height=240&frames=60&seed=7", slots=2)
    url = f"test://pattern?width=320&height=240{length}{speed}&fail={fault}@3"
    # Only who hangs is to be found hung, however long the others have to wait for their turn.
    times = {"stall_timeout": 1.0, "connect_timeout": 4.0} if fault == "hang" else {"stall_timeout": 60.0}
    faulty = make_source(url, memory=SMALL, reconnect=ReconnectPolicy(window=0.0), slots=2, **times)

    undisturbed = await read(make_source("test://pattern?width=320&height=240&frames=60&seed=7"))
    beside, ended = await asyncio.gather(read(neighbour), read(faulty))

    assert ended.failure.code is code
    assert ended.failure.message in said
    assert set(ended.indexes) & {0, 1, 2}
    assert (beside.error, beside.indexes, beside.means) == (None, list(range(60)), undisturbed.means)
    await eventually(lambda: not children(server), "no process and no memory is left of either")


async def test_pictures_that_need_more_memory_than_there_is_are_refused(make_source: MakeSource) -> None:
    source = make_source("test://pattern?width=8192&height=8192&frames=3", memory=DecoderMemory(frames=64 * MIB))

    outcome = await read(source)

    assert outcome.failure.code is ErrorCode.UNSUPPORTED
    assert outcome.failure.message.startswith(
        "pictures of 8192x8192: one takes 97 MiB, and a stream of this worker has 64"
    )


async def test_with_room_for_one_picture_they_come_one_by_one(make_source: MakeSource) -> None:
    source = make_source("test://pattern?width=1024&height=1024&frames=5", memory=DecoderMemory(frames=2 * MIB))

    assert (await read(source)).indexes == [0, 1, 2, 3, 4]
