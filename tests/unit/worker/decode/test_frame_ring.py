"""The shared memory of frames, and what its reader refuses."""

import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest

from videofleet_worker.decode.ring import RingLayout, RingMemory, RingReader, RingWriter

LAYOUT = RingLayout(width=65, height=47, model_width=33, model_height=21, slots=3)


@pytest.fixture
def memory() -> Iterator[RingMemory]:
    made = RingMemory(LAYOUT.total_bytes)
    yield made
    made.close()


@pytest.fixture
def writer(memory: RingMemory) -> RingWriter:
    return RingWriter(mmap.mmap(memory.fd, memory.size), LAYOUT)


@pytest.fixture
def reader(memory: RingMemory) -> RingReader:
    return RingReader(0, LAYOUT, memory.content)


def test_what_is_written_is_read(writer: RingWriter, reader: RingReader) -> None:
    for slot in range(3):
        views = writer.views(slot)
        for number, plane in enumerate((views.y, views.u, views.v, views.tensor)):
            plane[...] = 10 * slot + number

    for slot in range(3):
        views = reader.take(slot)
        assert (views.y.shape, views.u.shape, views.v.shape, views.tensor.shape) == (
            (47, 65),
            (24, 33),
            (24, 33),
            (3, 21, 33),
        )
        for number, plane in enumerate((views.y, views.u, views.v, views.tensor)):
            assert (plane == 10 * slot + number).all()


def test_the_reader_cannot_write(reader: RingReader) -> None:
    with pytest.raises(ValueError, match="read-only"):
        reader.take(0).y[0, 0] = 1


def test_the_lowest_free_slot_is_taken(writer: RingWriter) -> None:
    assert [writer.acquire() for _ in range(4)] == [0, 1, 2, None]
    writer.release(2)
    writer.release(1)
    assert writer.acquire() == 1


def test_arrays_outlive_the_reader() -> None:
    memory = RingMemory(LAYOUT.total_bytes)
    views = RingReader(0, LAYOUT, memory.content).take(1)
    memory.close()
    del memory

    assert np.all(views.tensor == 0)


@pytest.mark.parametrize("slot", [-1, 3, 2**31])
def test_slots_outside_are_refused(reader: RingReader, slot: int) -> None:
    with pytest.raises(ValueError, match="slot must be 0 to 2"):
        reader.take(slot)


def test_a_slot_sent_twice_is_refused(reader: RingReader) -> None:
    reader.take(1)

    with pytest.raises(ValueError, match="sent twice"):
        reader.take(1)


@pytest.mark.parametrize("size", [0, LAYOUT.total_bytes - 4096, LAYOUT.total_bytes + 4096])
def test_nobody_changes_the_size_of_the_memory(memory: RingMemory, size: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(memory.fd, size)


def test_another_size_of_pictures_takes_the_same_memory(memory: RingMemory, writer: RingWriter) -> None:
    slot = writer.acquire()
    assert slot == 0
    writer.views(slot).y[...] = 200
    writer.release(slot)
    small = RingLayout.within(memory.size, 32, 24, 33, 21, 3)

    writer.lay_out(small)

    assert (writer.number, writer.layout, writer.unused) == (1, small, True)
    assert not memory.content.any(), "what was written has been given back"


@pytest.mark.parametrize(("size", "slots"), [(LAYOUT.slot_bytes, 1), (LAYOUT.slot_bytes * 3 - 1, 2), (2**40, 3)])
def test_there_are_as_many_slots_as_there_is_room(size: int, slots: int) -> None:
    assert RingLayout.within(size, 65, 47, 33, 21, 3).slots == slots


def test_a_picture_that_has_no_room_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="one takes 97 MiB, and a stream of this worker has 64 MiB for them"):
        RingLayout.within(64 * 2**20, 8192, 8192, 416, 416, 6)


@pytest.mark.parametrize(
    ("width", "slots", "said"), [(0, 3, "ring width must be 1 to 8192"), (64, 0, "ring slots"), (9000, 3, "got 9000")]
)
def test_layouts_that_make_no_sense(width: int, slots: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RingLayout(width, 48, 32, 24, slots)
