"""Threads that are there before the filter forbids new ones, and wait for what is to be done."""

import queue
import threading
from collections.abc import Callable
from typing import Final

SPARE: Final = 4
"""For what demuxes, what answers FFmpeg's calls of socket(), and what secures a connection and the one before it."""

Work = Callable[[], None]


class Done:
    """Whether a piece of work has ended."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within that time."""
        return self._ended.wait(seconds)

    def set(self) -> None:
        """It has ended."""
        self._ended.set()


class SpareThreads:
    """So many threads for the life of the process. Work that finds none idle waits for one."""

    def __init__(self, count: int = SPARE) -> None:
        self._work: queue.SimpleQueue[tuple[Work, Done]] = queue.SimpleQueue()
        for _ in range(count):
            threading.Thread(target=self._run, daemon=True).start()

    def start(self, work: Work) -> Done:
        """Do it in one of them."""
        done = Done()
        self._work.put((work, done))
        return done

    def _run(self) -> None:
        while True:
            work, done = self._work.get()
            try:
                work()
            finally:
                done.set()
