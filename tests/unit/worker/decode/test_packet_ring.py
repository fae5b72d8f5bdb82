"""The memory that packets cross in: what is read is what was written, in order, and nothing may be made up."""

import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from videofleet_worker.decode.packetring import MOST_PACKETS, RING_BYTES, PacketReader, PacketWriter


def pair(size: int = RING_BYTES) -> tuple[PacketWriter, PacketReader]:
    """Both ends of one memory."""
    memory = mmap.mmap(-1, size)
    return PacketWriter(memory), PacketReader(np.frombuffer(memory, np.uint8))


@given(sizes=some.lists(some.integers(1, RING_BYTES // 3), min_size=1, max_size=40), keep=some.integers(1, 8))
def test_every_packet_arrives_whole_whatever_is_still_unread(sizes: list[int], keep: int) -> None:
    writer, reader = pair()
    waiting: list[tuple[int, bytes]] = []
    for number, size in enumerate(sizes):
        data = bytes([number % 256]) * size
        while (start := writer.write(data)) is None or len(waiting) >= keep:
            at, expected = waiting.pop(0)
            assert reader.read(at, len(expected)) == expected
            reader.release()
            writer.release(1)
            if start is not None:
                break
        waiting.append((start, data))
    assert all(reader.read(at, len(expected)) == expected for at, expected in waiting)


def test_a_packet_waits_until_there_is_room() -> None:
    writer, _ = pair()
    assert writer.write(b"x" * (RING_BYTES - 10)) == 0
    assert writer.write(b"y" * 11) is None
    assert writer.write(b"y" * 10) == RING_BYTES - 10
    assert writer.write(b"z") is None
    writer.release(1)
    assert writer.write(b"z") == 0


def test_there_are_never_more_packets_under_way_than_that() -> None:
    writer, _ = pair()
    assert all(writer.write(b"x") is not None for _ in range(MOST_PACKETS))
    assert writer.write(b"x") is None


@pytest.mark.parametrize("size", [RING_BYTES, 2 * RING_BYTES, 4096])
def test_a_packet_larger_than_its_part_of_the_memory_is_refused(size: int) -> None:
    writer, reader = pair(size)
    most = min(size, RING_BYTES)
    with pytest.raises(ValueError, match="is larger than"):
        writer.write(b"x" * (most + 1))
    with pytest.raises(ValueError, match="beyond its memory"):
        reader.read(0, most + 1)


def test_the_reader_believes_no_child() -> None:
    _, reader = pair()
    with pytest.raises(ValueError, match="beyond its memory"):
        reader.read(RING_BYTES - 1, 2)
    for _ in range(MOST_PACKETS):
        reader.read(0, 1)
    with pytest.raises(ValueError, match="more packets"):
        reader.read(0, 1)
