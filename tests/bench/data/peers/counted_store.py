"""Counts the calls of a worker's archive, each of which is a request to an object store.

`install(path)` has every archive of this process count into a file, which another process may read at any time.
"""

from __future__ import annotations

import functools
import mmap
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = ("create", "replace", "read", "listing", "delete")
_FIGURES = struct.Struct(f"{len(CALLS) + 1}d")


def read(path: Path) -> dict[str, float]:
    """Calls so far by name, and under `bytes` what was written."""
    return dict(zip((*CALLS, "bytes"), _FIGURES.unpack(path.read_bytes()[: _FIGURES.size]), strict=True))


def install(path: Path) -> None:
    """From here on calls are counted into this file, which is made."""
    from videofleet_archive.store import FolderArchive

    path.write_bytes(b"\0" * _FIGURES.size)
    with path.open("r+b") as file:
        figures = mmap.mmap(file.fileno(), _FIGURES.size)
    lock = threading.Lock()

    def counted(place: int, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, key: Any, *data: bytes) -> Any:
            with lock:
                found = list(_FIGURES.unpack(figures[: _FIGURES.size]))
                found[place] += 1
                found[-1] += sum(map(len, data))
                figures[: _FIGURES.size] = _FIGURES.pack(*found)
            return method(self, key, *data)

        return call

    for place, name in enumerate(CALLS):
        setattr(FolderArchive, name, counted(place, getattr(FolderArchive, name)))
