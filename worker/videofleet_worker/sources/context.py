"""What the connections of a source share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from videofleet_worker.decode.forkserver import ForkServer
from videofleet_worker.decode.frame import Views
from videofleet_worker.decode.messages import Progress
from videofleet_worker.memory import DecoderMemory
from videofleet_worker.sources.clock import Clock
from videofleet_worker.sources.counters import Counters
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.direct import DirectFeed
from videofleet_worker.sources.events import SourceInfo
from videofleet_worker.sources.ondevice import DecodeStation
from videofleet_worker.sources.position import RunPosition


@dataclass(frozen=True)
class SessionContext:
    """What a session shares with its source, which outlives it."""

    server: ForkServer
    clock: Clock
    counters: Counters
    position: RunPosition
    on_open: Callable[[SourceInfo], None]
    on_progress: Callable[[Progress], None]
    memory: DecoderMemory
    dialer: Dialer
    file_roots: Sequence[Path]
    direct: DirectFeed
    station: DecodeStation | None = None
    picture: Callable[[], int] | None = None
    """Opens the one picture that is decoded, where it is in this process; else the source names what there is."""


class FrameRing(Protocol):
    """Slots that frames come in: of a child's memory, or of the GPU's."""

    number: int
    width: int
    height: int

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        ...

    def take(self, slot: int) -> Views:
        """The frame in a slot that has just been filled. Raises ValueError for one that it must not be in."""
        ...

    def release(self, slot: int) -> None:
        """Take note that a slot is free again."""
        ...
