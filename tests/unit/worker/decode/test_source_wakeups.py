"""How often the decoder of a recorded source is woken."""

import asyncio

from tests.unit.worker.decode.impostor import LAYOUT, Impostor, frame_packet, with_ring
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource

FRAMES = [frame_packet(n, n, f"{n / 10}") for n in range(LAYOUT.slots)]


def source_of(impostor: Impostor) -> StreamSource:
    return StreamSource(SourceRequest("rtsp://camera/1", model_size=(32, 24)), slots=LAYOUT.slots, server=impostor)


async def test_a_decoder_is_told_of_several_free_slots_at_once() -> None:
    impostor = Impostor(with_ring(*FRAMES), lives=True)
    source = source_of(impostor)
    frames = source.frames()
    async with asyncio.timeout(60):
        held = [await anext(frames) for _ in range(3)]
    told = []
    for one in held:
        one.release()
        told.append(impostor.freed())

    assert told == [[], [], [0, 1, 2]]
    impostor.close()
    await source.close()


async def test_a_decoder_is_told_of_every_free_slot_once_its_next_frame_is_waited_for() -> None:
    impostor = Impostor(with_ring(*FRAMES), lives=True)
    source = source_of(impostor)
    frames = source.frames()
    async with asyncio.timeout(60):
        held = [await anext(frames) for _ in range(4)]
    held[0].release()
    before = impostor.freed()
    following = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0)

    assert (before, impostor.freed()) == ([], [0])
    held[1].release()
    assert impostor.freed() == [1], "nor does a later one wait for others"
    impostor.child.send(frame_packet(0, 4, "0.4"))
    async with asyncio.timeout(60):
        assert (await following).index == 4
    impostor.close()
    await source.close()
