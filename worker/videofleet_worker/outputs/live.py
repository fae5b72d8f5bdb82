"""Live pictures for whoever watches. A slow viewer misses pictures and slows nobody down."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager


class Viewer:
    """One who watches, with room for one picture."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._left = False

    async def pictures(self) -> AsyncGenerator[bytes, None]:
        """Pictures (JPEG) until `leave`. Of those that wait only the newest is kept."""
        while not self._left and (picture := await self._queue.get()) is not None:
            yield picture

    def offer(self, picture: bytes) -> None:
        """A new picture; it replaces one that waits."""
        self._replace(picture)

    def forget(self) -> None:
        """Let go of a picture that waits."""
        if self._queue.full() and not self._left:
            self._queue.get_nowait()

    def leave(self) -> None:
        """No more pictures."""
        self._left = True
        self._replace(None)

    def _replace(self, item: bytes | None) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(item)


class Viewers:
    """Those who watch one analytics of one job."""

    def __init__(self) -> None:
        self._viewers: set[Viewer] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._viewers)

    @contextmanager
    def enter(self) -> Iterator[Viewer]:
        """Watch from now on."""
        viewer = Viewer()
        if self._closed:
            viewer.leave()
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    def show(self, picture: bytes) -> None:
        """A new picture for all."""
        for viewer in self._viewers:
            viewer.offer(picture)

    def forget(self) -> None:
        """Nobody gets a picture from before this moment any more."""
        for viewer in self._viewers:
            viewer.forget()

    def close(self) -> None:
        """There will be no more pictures."""
        self._closed = True
        for viewer in self._viewers:
            viewer.leave()
