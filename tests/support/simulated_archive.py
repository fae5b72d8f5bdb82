"""The archive under simulated workers: real logs and notes, without results in them."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from videofleet_api.finalize import NotedRun, Notes, Untold
from videofleet_api.names import archive_prefix
from videofleet_archive import notes
from videofleet_archive.acquire import Ending, acquire, look
from videofleet_archive.store import FolderArchive
from videofleet_archive.threads import StoreThreads
from videofleet_worker.jobs.assignments import Job


class SimulatedArchive:
    """One folder for all workers of a test. Close it when they have ended."""

    def __init__(self, folder: Path) -> None:
        self._executor = ThreadPoolExecutor(2, "archive")
        self.threads = StoreThreads(FolderArchive(folder), self._executor)

    def close(self) -> None:
        """End its threads."""
        self._executor.shutdown()

    def begin(self, job: Job, worker: str) -> None:
        """What a run does before its first frame and with it: it is noted, and owns its logs. `worker`: the process."""
        store, entry = self.threads.store, job.entry
        run = NotedRun(namespace=entry.namespace, uid=entry.uid, run=entry.run)
        names = [each.name for each in job.spec.analytics]
        if job.spec.archive_deletes:
            notes.note_deletion(store, job.fleet, run)
        notes.note_run(store, job.fleet, run, names)
        if job.spec.outputs.webhooks:
            untold = Untold(**run.model_dump(), epoch=entry.epoch, worker=worker)
            notes.note_untold(store, job.fleet, untold)
        for name in names:
            acquire(store, job.prefix(name), entry.epoch, secrets.token_hex(4))

    def ending(self, namespace: str, uid: str, run: int = 1) -> Ending | None:
        """How the log of this run ended."""
        return look(self.threads.store, archive_prefix(namespace, uid, run, "main")).ending

    def objects(self, namespace: str, uid: str) -> list[str]:
        """Everything that is stored of a job."""
        return [each.key for each in self.threads.store.listing(f"{namespace}/{uid}")]

    def notes(self, fleet: str) -> Notes:
        """What is noted."""
        return notes.read_notes(self.threads.store, fleet)
