"""The process of a simulated worker."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field

from tests.support.simulated_archive import SimulatedArchive
from videofleet_api.codes import OutputHealth
from videofleet_api.finalize import Finalize
from videofleet_api.protocol import Delivered
from videofleet_archive.notes import forget_untold
from videofleet_worker.jobs.assignments import Assignments
from videofleet_worker.jobs.events import EventHub
from videofleet_worker.jobs.finalizing import Finalizing
from videofleet_worker.jobs.reports import JobReporter


@dataclass
class SimulatedProcess:
    """What is lost when the worker's process dies."""

    heartbeat_seconds: float
    archive: SimulatedArchive | None
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    assignments: Assignments = field(init=False)
    hub: EventHub = field(init=False)
    jobs: dict[str, JobReporter] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    streams: set[asyncio.Transport] = field(default_factory=set)
    finalizing: Finalizing | None = None

    def __post_init__(self) -> None:
        if self.archive is not None:
            self.finalizing = Finalizing(self.archive.threads, self.instance, self._finalized, _nothing, self._tell)
        self.assignments = Assignments(self.instance)
        self.hub = EventHub(
            lambda: self.assignments,
            lambda: [job.report for job in self.jobs.values()],
            finalized=lambda: self.finalizing.done if self.finalizing is not None else {},
            heartbeat_seconds=self.heartbeat_seconds,
        )

    async def _tell(self, fleet: str, wanted: Finalize) -> Delivered:
        """Played: receivers take all at once."""
        assert self.archive is not None, "who has none is asked for nothing"
        await self.archive.threads.call(forget_untold, self.archive.threads.store, fleet, wanted.untold)
        return Delivered(health=OutputHealth.DELIVERED, message="receivers take what they are sent")

    def _finalized(self, key: str, delivered: Delivered | None) -> None:
        self.hub.publish_finalized(key, delivered)


async def _nothing(_: Finalize) -> None:
    """A played job has nothing left to seal."""
