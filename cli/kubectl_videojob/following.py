"""A job as it moves: its phases, its Events and its progress, from two watches."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kubectl_videojob.cluster import Cluster, Json, core_path, jobs_path
from kubectl_videojob.errors import DONE, NOT_COMPLETED, UserError
from videofleet_api.phases import Phase

_FAILED: Final = frozenset({Phase.INTERRUPTED, Phase.MISCONFIGURED, Phase.NOT_STARTED, Phase.AWAITING})


@dataclass(frozen=True)
class Outcome:
    """How a job ended, as far as a script is concerned."""

    code: int
    message: str


@dataclass(frozen=True)
class Change:
    """Something new: of the job itself, or an Event about it."""

    job: Json | None = None
    event: Json | None = None
    deleted: bool = False


def outcome(job: Json) -> Outcome | None:
    """How the job ended; None: it goes on by itself.

    COMPLETED is the one good end. One that needs a user (Stalled), is over or is disabled has ended otherwise.
    """
    status = job.get("status") or {}
    phase, told = status.get("phase"), f"{status.get('phase')} ({status.get('reason')}): {status.get('message', '')}"
    if _outdated(job, status):
        return None
    if phase == Phase.COMPLETED:
        return Outcome(DONE, told)
    stalled = any(each["type"] == "Stalled" and each["status"] == "True" for each in status.get("conditions") or [])
    if phase == Phase.DISABLED or status.get("finished") or (stalled and phase in _FAILED):
        return Outcome(NOT_COMPLETED, told)
    return None


def _outdated(job: Json, status: Json) -> bool:
    return int(status.get("observedGeneration", 0)) < int(job["metadata"].get("generation", 0))


def follow(cluster: Cluster, job: Json, *, timeout: float | None = None) -> Iterator[Change]:
    """Changes without an end, the job as it is first, and none left out. Raises TimeoutError after so many seconds."""
    meta = job["metadata"]
    changes: queue.SimpleQueue[Change | UserError] = queue.SimpleQueue()
    changes.put(Change(job=job))  # the two watches begin in no order
    _start(_job_changes(cluster, job), changes)
    _start(_events(cluster, meta), changes)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            change = changes.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(change, UserError):
            raise change
        yield change


def _job_changes(cluster: Cluster, job: Json) -> Iterator[Change]:
    """Until it is deleted."""
    meta = job["metadata"]
    this = {"fieldSelector": f"metadata.name={meta['name']}"}
    for kind, body in cluster.follow(jobs_path(meta["namespace"]), this, job):
        if kind == "DELETED" or body["metadata"]["uid"] != meta["uid"]:
            yield Change(deleted=True)
            return
        yield Change(job=body)


def _events(cluster: Cluster, meta: Json) -> Iterator[Change]:
    about = {"fieldSelector": f"involvedObject.uid={meta['uid']}"}
    for kind, body in cluster.follow(core_path("events", meta["namespace"]), about):
        if kind != "DELETED":
            yield Change(event=body)


def _start(source: Iterator[Change], changes: "queue.SimpleQueue[Change | UserError]") -> None:
    def run() -> None:
        try:
            for change in source:
                changes.put(change)
        except UserError as error:
            changes.put(error)

    threading.Thread(target=run, daemon=True).start()
