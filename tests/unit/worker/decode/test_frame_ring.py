"""The shared memory of frames, and what its reader refuses."""

import fcntl
import os
import tempfile

import numpy as np
import pytest

from videofleet_worker.decode.ring import RingLayout, RingReader, RingWriter

LAYOUT = RingLayout(width=65, height=47, model_width=33, model_height=21, slots=3)


def sealed(size: int, seals: int = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def test_what_is_written_is_read() -> None:
    writer = RingWriter(0, LAYOUT)
    reader = RingReader(0, LAYOUT, os.dup(writer.fd))
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
    writer.close()


def test_the_reader_cannot_write() -> None:
    reader = RingReader(0, LAYOUT, sealed(LAYOUT.total_bytes))

    with pytest.raises(ValueError, match="read-only"):
        reader.take(0).y[0, 0] = 1


def test_the_lowest_free_slot_is_taken() -> None:
    writer = RingWriter(0, LAYOUT)

    assert [writer.acquire() for _ in range(4)] == [0, 1, 2, None]
    writer.release(2)
    writer.release(1)
    assert writer.acquire() == 1
    writer.close()


def test_arrays_outlive_the_reader() -> None:
    views = RingReader(0, LAYOUT, sealed(LAYOUT.total_bytes)).take(1)

    assert np.all(views.tensor == 0)


@pytest.mark.parametrize("slot", [-1, 3, 2**31])
def test_slots_outside_are_refused(slot: int) -> None:
    with pytest.raises(ValueError, match="slot must be 0 to 2"):
        RingReader(0, LAYOUT, sealed(LAYOUT.total_bytes)).take(slot)


def test_a_slot_sent_twice_is_refused() -> None:
    reader = RingReader(0, LAYOUT, sealed(LAYOUT.total_bytes))
    reader.take(1)

    with pytest.raises(ValueError, match="sent twice"):
        reader.take(1)


def test_memory_that_could_shrink_is_refused() -> None:
    with pytest.raises(ValueError, match="not sealed"):
        RingReader(0, LAYOUT, sealed(LAYOUT.total_bytes, fcntl.F_SEAL_GROW))


@pytest.mark.parametrize("difference", [-4096, 1])
def test_memory_of_another_size_is_refused(difference: int) -> None:
    with pytest.raises(ValueError, match="its header promises"):
        RingReader(0, LAYOUT, sealed(LAYOUT.total_bytes + difference))


def test_a_file_is_refused() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(ValueError, match="not a memfd"):
        RingReader(0, LAYOUT, os.dup(file.fileno()))


@pytest.mark.parametrize(
    ("width", "slots", "said"), [(0, 3, "ring width must be 1 to 8192"), (64, 0, "ring slots"), (9000, 3, "got 9000")]
)
def test_layouts_that_make_no_sense(width: int, slots: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RingLayout(width, 48, 32, 24, slots)
