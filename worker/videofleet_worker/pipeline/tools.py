"""What all streams of a worker share, and what each counts."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from videofleet_archive.threads import StoreThreads
from videofleet_worker.memory import DecoderMemory
from videofleet_worker.models.engines import Engines
from videofleet_worker.models.registry import ModelRegistry
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.leftovers import Leftovers
from videofleet_worker.pipeline.onlooker import Onlooker
from videofleet_worker.sources.clock import Clock
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.ondevice import DecodeStation
from videofleet_worker.sources.reconnect import Loss, ReconnectPolicy


@dataclass(frozen=True)
class Tools:
    """Shared by all streams. `owner` names this process to other writers of a log; `attended` tells whether an
    operator listens; `decoder_memory` is what each decoding child may take; `dialer` is the way out to sources;
    `media` are the folders whose files may be sources; `station` is where streams are decoded whose frames stay on a
    GPU, if there is one; `onlooker` sees every frame; `leftovers` deliver what runs leave; `ends` tells whether this
    process is about to end because its GPU is lost to it."""

    registry: ModelRegistry
    engines: Engines
    archive: StoreThreads
    picture_threads: Executor
    clock: Clock
    wall_clock: Callable[[], float]
    owner: str
    decoder_memory: DecoderMemory
    dialer: Dialer
    media: tuple[Path, ...]
    attended: Callable[[], bool]
    ways: WaysOut
    leftovers: Leftovers
    station: DecodeStation | None = None
    onlooker: Onlooker | None = None
    ends: Callable[[], bool] = lambda: False


@dataclass
class StreamCounters:
    """Counts of one stream's results since it began here."""

    archived_bytes: int = 0
    archive_errors: int = 0
    lost_results: int = 0

    def sealed(self, size: int) -> None:
        """So many bytes are durable now."""
        self.archived_bytes += size

    def store_failed(self) -> None:
        """A call of the store failed."""
        self.archive_errors += 1

    def lost(self) -> None:
        """One result was dropped because the spool was full."""
        self.lost_results += 1


@dataclass(frozen=True)
class AttendedPolicy(ReconnectPolicy):
    """Reconnects without limit while no operator listens: nobody else would start the stream again."""

    attended: Callable[[], bool] = lambda: True

    def delay(self, loss: Loss) -> float | None:
        """See ReconnectPolicy."""
        return ReconnectPolicy(self.window if self.attended() else None, self.stable_after).delay(loss)
