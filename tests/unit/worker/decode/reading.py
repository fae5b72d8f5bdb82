"""Running a source in a test and noting what came."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from videofleet_worker.decode.frame import Frame
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.stream import StreamSource

# Far above what anything takes on a busy machine: only a hang gets here.
DEADLINE = 180.0


@dataclass
class Outcome:
    """What a source delivered, and how it ended (None: regularly)."""

    indexes: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    keyframes: list[int] = field(default_factory=list)
    error: SourceError | None = None

    def note(self, frame: Frame) -> None:
        """Add a frame."""
        self.indexes.append(frame.index)
        self.times.append(round(frame.pts, 3))
        self.sizes.append((frame.width, frame.height))
        self.means.append(float(frame.planes[0].mean()))
        if frame.keyframe:
            self.keyframes.append(frame.index)

    @property
    def failure(self) -> SourceError:
        """The error; fails the test when there was none."""
        assert self.error is not None, f"the source ended regularly after {len(self.indexes)} frames"
        return self.error


async def read(
    source: StreamSource, on_frame: Callable[[Frame], None] = lambda frame: None, enough: int | None = None
) -> Outcome:
    """All frames of a source to its end, or the first `enough`; each released at once."""
    outcome = Outcome()
    try:
        async with asyncio.timeout(DEADLINE):
            async for frame in source.frames():
                with frame:
                    outcome.note(frame)
                    on_frame(frame)
                if len(outcome.indexes) == enough:
                    break
    except SourceError as error:
        outcome.error = error
    finally:
        await source.close()
    return outcome


async def eventually(holds: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    """Wait until something is true; AssertionError saying `what` was awaited if it never is."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not holds():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"still not so after {seconds:g} s: {what}")
        await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
