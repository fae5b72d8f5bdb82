"""Bytes that are too many for a message, in a memfd that goes with it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def packed(data: bytes) -> Iterator[int]:
    """A descriptor of a memfd with the bytes."""
    memory = os.memfd_create("parcel", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(memory, left) :]
        yield memory
    finally:
        os.close(memory)


def unpacked(descriptor: int, most: int) -> bytes:
    """The bytes of a memfd from a stranger. Raises ValueError for what is not one, or holds more than `most`."""
    try:
        # Only a memfd has seals. Of a file anywhere else reading might never end.
        fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        size = os.fstat(descriptor).st_size
        if size > most:
            raise ValueError(f"{size} bytes, {most} at most")
        return os.pread(descriptor, size, 0)
    except OSError as error:
        raise ValueError("not a memfd") from error
