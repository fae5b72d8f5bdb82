"""Letters to receivers, and a worker that writes them beside its log, without frames and models."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.support.archives import chunk, mark, open_writer
from videofleet_api.outputs import OutputEvent
from videofleet_api.targets import JobOutputs
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import LogWriter
from videofleet_worker.outputs.letters import Letter
from videofleet_worker.outputs.outbox import Outbox
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.outlets import JobOutlets

ORIGIN = {"job": {"uid": "job-1", "namespace": "default", "name": "job", "epoch": 1}, "analytics": "main"}


def letter(number: int, kind: str = OutputEvent.TRACK_BEGIN, *, age: float = 0.0, **given: object) -> Letter:
    document = {"event": kind, "track": {"track_id": number}} | ORIGIN
    return Letter(f"job-1/1/main/{number}/{kind}", kind, time.time() - age, document, **given)  # type: ignore[arg-type]


class TellingEpoch:
    """A worker that writes the log, and tells receivers."""

    def __init__(self, threads: StoreThreads, ways: WaysOut, outputs: JobOutputs) -> None:
        self.threads = threads
        self.outlets = JobOutlets(ways)
        self.outlets.use(outputs)
        self.writer: LogWriter | None = None
        self.outbox: Outbox | None = None

    @classmethod
    async def begun(cls, threads: StoreThreads, ways: WaysOut, outputs: JobOutputs, epoch: int = 1) -> TellingEpoch:
        """One that owns the log."""
        made = cls(threads, ways, outputs)
        await made.own(epoch)
        return made

    async def own(self, epoch: int) -> None:
        self.writer = await open_writer(self.threads, epoch)
        self.outbox = self.writer.notes = Outbox(self.writer.view)
        await self.outbox.open()
        self.outlets.serve(self.outbox)

    async def tell(self, frame: int, letters: Sequence[Letter]) -> None:
        """A frame with letters, until it is sealed."""
        assert self.writer is not None
        await self.writer.append(chunk(frame), mark(frame))
        self.writer.note(b"".join(letter.line() for letter in letters))
        await self.writer.flush()

    async def kill(self) -> None:
        """Everything that this process has in memory is gone, and it says nothing more."""
        assert self.writer is not None
        await self.writer.abandon()
        for couriers in self.outlets._couriers.values():
            for one in couriers:
                one._task.cancel()
