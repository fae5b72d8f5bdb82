"""What the command sees of each frame: how far it is, which tracks there are and when, and its annotated picture."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from videofleet_api.results import StreamInfo
from videofleet_clip.film import Film
from videofleet_worker.outputs.annotate import annotate
from videofleet_worker.pipeline.objects import FoundObject
from videofleet_worker.pipeline.onlooker import Shown
from videofleet_worker.pipeline.pictures import SharedFrame


@dataclass(slots=True)
class Seen:
    """One analytics: by track the seconds of the run at which it was seen first and last; by class how many objects
    there were, and the best confidence."""

    tracks: dict[int, tuple[float, float]] = field(default_factory=dict)
    classes: dict[str, tuple[int, float]] = field(default_factory=dict)

    def add(self, pts: float, objects: Sequence[FoundObject]) -> None:
        """The objects of the next frame."""
        for one in objects:
            count, best = self.classes.get(one.label, (0, 0.0))
            self.classes[one.label] = count + 1, max(best, one.confidence)
            if one.track_id:
                first, _ = self.tracks.get(one.track_id, (pts, pts))
                self.tracks[one.track_id] = first, pts


class Watch:
    """Follows a run, and has its films drawn: at most one picture at a time, while the next frames are analysed."""

    def __init__(self, films: Mapping[str, Film], threads: Executor) -> None:
        self.begun = asyncio.Event()
        self.frames = 0
        self.first_frame = 0
        self._since = self._newest = 0.0
        self.last: StreamInfo | None = None
        self.seen: dict[str, Seen] = {}
        self._films = films
        self._threads = threads
        self._drawing: dict[str, asyncio.Task[None]] = {}

    async def see(self, analytics: str, shared: SharedFrame, info: StreamInfo, shown: Shown) -> None:
        """See Onlooker. Raises OSError where the film before could not be written."""
        if self.last is None:
            self.first_frame = info.frame_index
            self._since = time.monotonic()
            self.begun.set()
        if self.last is None or info.frame_index != self.last.frame_index:
            self.frames += 1
            self._newest = time.monotonic()
        self.last = info
        self.seen.setdefault(analytics, Seen()).add(info.pts, shown.objects)
        film = self._films.get(analytics)
        if film is not None:
            await self._drawn(analytics)
            drawing = self._draw(film, shared.keep(), shown, info.pts)
            self._drawing[analytics] = asyncio.create_task(drawing, name=f"film {analytics}")

    @property
    def rate(self) -> float:
        """Frames a second since the first one; 0 while there is only that."""
        return (self.frames - 1) / (self._newest - self._since) if self._newest > self._since else 0.0

    async def close(self) -> None:
        """Finish the films. Raises OSError where one cannot be written."""
        for name, film in self._films.items():
            await self._drawn(name)
            await asyncio.get_running_loop().run_in_executor(self._threads, film.close)

    async def _drawn(self, analytics: str) -> None:
        before = self._drawing.pop(analytics, None)
        if before is not None:
            await before

    async def _draw(self, film: Film, shared: SharedFrame, shown: Shown, pts: float) -> None:
        def draw() -> None:
            frame = shared.frame
            marks = [one.mark() for one in shown.objects]
            drawn = annotate(
                frame.planes, marks, full_range=frame.full_range, matrix=frame.matrix, outlines=shown.outlines
            )
            film.add(drawn, pts)

        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, draw)
        finally:
            shared.release()
