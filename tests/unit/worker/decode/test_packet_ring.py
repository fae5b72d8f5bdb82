"""The memory that packets cross in: what is read is what was written, in order, and nothing may be made up."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as some

from videofleet_worker.decode.packetring import MOST_PACKETS, RING_BYTES, PacketReader, PacketWriter


@given(sizes=some.lists(some.integers(1, RING_BYTES // 3), min_size=1, max_size=40), keep=some.integers(1, 8))
def test_every_packet_arrives_whole_whatever_is_still_unread(sizes: list[int], keep: int) -> None:
    writer = PacketWriter()
    reader = PacketReader(os.dup(writer.fd))
    try:
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
    finally:
        os.close(writer.fd)


def test_a_packet_waits_until_there_is_room() -> None:
    writer = PacketWriter()
    assert writer.write(b"x" * (RING_BYTES - 10)) == 0
    assert writer.write(b"y" * 11) is None
    assert writer.write(b"y" * 10) == RING_BYTES - 10
    assert writer.write(b"z") is None
    writer.release(1)
    assert writer.write(b"z") == 0


def test_there_are_never_more_packets_under_way_than_that() -> None:
    writer = PacketWriter()
    assert all(writer.write(b"x") is not None for _ in range(MOST_PACKETS))
    assert writer.write(b"x") is None


def test_a_packet_larger_than_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="is larger than"):
        PacketWriter().write(b"x" * (RING_BYTES + 1))


def test_the_reader_believes_no_child() -> None:
    writer = PacketWriter()
    reader = PacketReader(os.dup(writer.fd))
    with pytest.raises(ValueError, match="beyond its memory"):
        reader.read(RING_BYTES - 1, 2)
    for _ in range(MOST_PACKETS):
        reader.read(0, 1)
    with pytest.raises(ValueError, match="more packets"):
        reader.read(0, 1)


def test_memory_whose_size_can_change_is_refused() -> None:
    fd = os.memfd_create("open", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, RING_BYTES)
    with pytest.raises(ValueError, match="not sealed"):
        PacketReader(fd)
