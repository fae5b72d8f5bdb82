"""What a live source hands over when its consumer is slow, on a clock that stands still unless it is moved."""

import asyncio

import pytest

from tests.support.clocks import HandClock
from tests.unit.worker.decode.impostor import LAYOUT, OPENED, OPENED_LIVE, Impostor, frame_packet, with_ring
from tests.unit.worker.decode.reading import eventually
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource


def source_of(impostor: Impostor, clock: HandClock) -> StreamSource:
    return StreamSource(
        SourceRequest("rtsp://camera/1", model_size=(32, 24)), slots=LAYOUT.slots, server=impostor, clock=clock
    )


async def arrives(source: StreamSource, impostor: Impostor, packet: bytes) -> None:
    """Send a packet and wait until the parent has it: the count that follows comes after it."""
    before = source.counters.decoded_frames
    impostor.child.send(packet)
    impostor.child.send(
        b'{"type":"progress","received":1,"decoded":1,"passed":0,"seeks":0,"strategy":"all","dropped":{}}'
    )
    await eventually(lambda: source.counters.decoded_frames > before, "the packet has come")


@pytest.mark.parametrize(
    ("opened", "expected", "stale"), [(OPENED_LIVE, [1, 2], 1), (OPENED, [0, 1, 2], 0)], ids=["live", "recorded"]
)
async def test_live_frames_older_than_half_a_second_are_dropped(opened: bytes, expected: list[int], stale: int) -> None:
    packets = [frame_packet(n, n, f"{n / 10}", taken) for n, taken in enumerate((99.4, 99.6, 100.0))]
    impostor = Impostor(with_ring(*packets, b'{"type":"ended"}', opened=opened))
    source = source_of(impostor, HandClock())

    indexes = []
    async for one in source.frames():
        with one:
            indexes.append(one.index)

    assert indexes == expected
    assert source.counters.dropped.get("stale", 0) == stale
    impostor.close()


async def test_of_a_live_source_the_newest_frames_survive() -> None:
    clock = HandClock()
    impostor = Impostor(with_ring(frame_packet(0, 0, "0.0", 100.0), opened=OPENED_LIVE), lives=True)
    source = source_of(impostor, clock)
    frames = source.frames()
    held = await anext(frames)
    # The consumer is busy with frame 0 while three more come: no slot is left for the next one, so the oldest goes.
    for slot in (1, 2, 3):
        impostor.child.send(frame_packet(slot, slot, f"{slot / 10}", 100.0))
    await eventually(lambda: bool(source.counters.dropped), "a frame is dropped")

    assert impostor.freed() == [1]
    assert source.counters.dropped == {"no_slot": 1}
    held.release()
    following = [await anext(frames), await anext(frames)]
    assert [one.index for one in following] == [2, 3]
    for one in following:
        one.release()
    assert impostor.freed() == [0, 2, 3]
    impostor.close()
    await source.close()


async def test_frames_that_wait_grow_stale() -> None:
    clock = HandClock()
    impostor = Impostor(with_ring(frame_packet(0, 0, "0.0", 100.0), opened=OPENED_LIVE), lives=True)
    source = source_of(impostor, clock)
    frames = source.frames()
    first = await anext(frames)
    await arrives(source, impostor, frame_packet(1, 1, "0.1", 100.0))
    clock.now = 100.4
    await arrives(source, impostor, frame_packet(2, 2, "0.2", 100.4))
    clock.now = 100.7

    async with asyncio.timeout(60):
        second = await anext(frames)

    assert second.index == 2
    assert source.counters.dropped == {"stale": 1}
    first.release()
    second.release()
    impostor.close()
    await source.close()
