"""A real worker for the benchmarks, with its operator's side, and the jobs that it is given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.data import processes
from tests.bench.data.peers import counted_store, metering
from tests.bench.data.setup import PEERS
from tests.support.authority import SERVER_NAME, Authority
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from videofleet_api.names import OPERATOR_CLIENT_NAME
from videofleet_api.protocol import Entry
from videofleet_archive import log


@dataclass(frozen=True)
class Plant:
    """A running worker and its client."""

    worker: WorkerProcess
    client: WorkerClient
    meter: Path
    """Where its sessions are counted."""
    store: Path
    """Where the calls of its archive are counted."""

    @property
    def pid(self) -> int:
        """The worker's process, whose descendants are the decoders."""
        return self.worker.process.pid

    def cpu_seconds(self) -> float:
        """Processor seconds of all its processes so far."""
        return processes.cpu_seconds(self.pid)

    def crowding(self) -> tuple[float, float]:
        """Processor seconds so far, and seconds that threads of it waited for a processor that others had."""
        return self.cpu_seconds(), processes.waited(self.pid)

    def inference_seconds(self) -> float:
        """Of these, what was spent inside the models' sessions."""
        return metering.read(self.meter)[0]

    def stored(self) -> dict[str, float]:
        """Calls of its archive so far, and under `bytes` what was written."""
        return counted_store.read(self.store)

    def memory(self) -> float:
        """MiB of all its processes."""
        return processes.memory(self.pid)

    def batches(self) -> tuple[float, float]:
        """Seconds in the models' sessions and batches run so far, by the clock."""
        lines = [line.rpartition(" ") for line in self.worker.plain("/metrics")[1].splitlines()]
        found = ("videofleet_inference_seconds_total{", "videofleet_inference_batches_total{")
        seconds, batches = (sum(float(value) for name, _, value in lines if name.startswith(one)) for one in found)
        return seconds, batches

    def analysed(self) -> float:
        """Frames of all streams so far."""
        return sum(self.counts().get("frames_processed", {}).values())

    def counts(self) -> dict[str, dict[str, float]]:
        """What it counts, by the metric and then by the job's uid; drops as `dropped:CAUSE`."""
        found: dict[str, dict[str, float]] = {}
        for line in self.worker.plain("/metrics")[1].splitlines():
            name, _, rest = line.partition("{")
            if not name.startswith("videofleet_") or 'uid="' not in rest:
                continue
            labels, _, value = rest.rpartition("} ")
            fields = dict(part.split("=", 1) for part in labels.split(","))
            name = name.removeprefix("videofleet_").removesuffix("_total")
            cause = fields.get("cause", "").strip('"')
            key = f"dropped:{cause}" if cause else name
            found.setdefault(key, {})[fields["uid"].strip('"')] = float(value)
        return found

    async def log_so_far(self, uid: str, seconds: float = 3.0) -> list[dict[str, Any]]:
        """What is sealed of a job's log now, or comes within so long."""
        data = b""
        try:
            async with asyncio.timeout(seconds):
                async for part in self.client.chunks(uid, "?offset=oldest"):
                    data += part
        except TimeoutError:
            # It has no end as long as the camera runs.
            pass
        return [json.loads(document) for document in log.documents(data.rpartition(b"\n\n")[0])]


def crowding(before: tuple[float, float], after: tuple[float, float]) -> str:
    """How much a worker was held up by what else the machine had to do, and by its own threads, in words."""
    cpu, waited = (now - then for now, then in zip(after, before, strict=True))
    return f"for each second of work its threads waited {waited / cpu:.1f} s for a processor"


@asynccontextmanager
async def running(folder: Path, capacity: int = 16, **settings: str) -> AsyncIterator[Plant]:
    """A worker with its archive and certificates in the folder, whose sessions and archive are counted."""
    authority = Authority()
    server = authority.issue(folder / "server", "worker", SERVER_NAME)
    operator = authority.issue(folder / "operator", OPERATOR_CLIENT_NAME)
    meter = folder / "meter"
    store = folder / "store"
    program = str(PEERS / "metered_worker.py"), str(meter), str(store)
    with WorkerProcess(folder / "archive", server, program=program, capacity=str(capacity), **settings) as worker:
        async with WorkerClient(worker, operator) as client:
            yield Plant(worker, client, meter, store)


def camera_job(
    url: str,
    uid: str,
    rate: float | None = None,
    *,
    least: float | None = None,
    track: dict[str, Any] | None = None,
    **spec: Any,
) -> Entry:
    """Find (with at least that confidence) and follow people in a live source, so many frames a second of it; all where
    no rate is named. `spec`: what else the job has."""
    sampling = {"mode": "fps", "value": rate} if rate else {"mode": "all"}
    found = {"classes": ["person"]} | ({"confidence": least} if least is not None else {})
    steps = [{"model": "detect", "parameters": found}, {"model": "track", "parameters": track or {}}]
    return file_job(
        url,
        uid,
        singlePass=False,
        sampling=sampling,
        analytics=[{"name": "main", "steps": steps}],
        reconnectWindow=600,
        **spec,
    )
