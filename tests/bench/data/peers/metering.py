"""Processor time inside a model's session, exactly, so that what is around it can be told apart from it.

`install(path)` has every session of this process count: the calling thread while it runs, and the session's own
threads. The file holds two doubles that another process may read at any time: seconds, and runs.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path
from typing import Any

import onnxruntime as ort

_FIGURES = struct.Struct("dd")
_REAL = ort.InferenceSession


def read(path: Path) -> tuple[float, int]:
    """Seconds and runs so far."""
    seconds, runs = _FIGURES.unpack(path.read_bytes()[: _FIGURES.size])
    return seconds, int(runs)


def install(path: Path) -> None:
    """From here on sessions are counted into this file, which is made."""
    path.write_bytes(b"\0" * _FIGURES.size)
    with path.open("r+b") as file:
        figures = mmap.mmap(file.fileno(), _FIGURES.size)

    class Metered(_REAL):  # type: ignore[misc]  # the runtime has no types
        """A session that is counted."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            before = _threads()
            super().__init__(*arguments, **options)
            self._own = _threads() - before

        def run(self, *arguments: Any, **options: Any) -> Any:
            begun, pooled = time.thread_time(), self._pooled()
            try:
                return super().run(*arguments, **options)
            finally:
                seconds, runs = _FIGURES.unpack(figures[: _FIGURES.size])
                spent = time.thread_time() - begun + self._pooled() - pooled
                figures[: _FIGURES.size] = _FIGURES.pack(seconds + spent, runs + 1)

        def _pooled(self) -> float:
            return sum(_thread_seconds(one) for one in self._own)

    ort.InferenceSession = Metered


def _threads() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/task")}


def _thread_seconds(thread: int) -> float:
    # The kernel's number of the clock of a thread (CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED).
    return time.clock_gettime((~thread << 3) | 6)
