"""`make soak`: cameras on one worker for an hour, one of which is lost every minute.

Watches what grows (memory), what sinks (the frame rate) and what must not happen (a track id that means two objects,
or comes back after its track has ended). Writes docs/bench/soak.json and a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.control.rows import Section, between, head
from tests.bench.data.identities import Identities
from tests.bench.data.plant import Plant, camera_job, running
from tests.support.cameras import CameraSimulator
from videofleet_api.protocol import Entry, JobState
from videofleet_archive import log

REPOSITORY = Path(__file__).parents[3]
RESULTS = REPOSITORY / "docs/bench/soak.json"
PAGE = REPOSITORY / "docs/benchmarks.md"
SOAK = Section("Soak", "<!-- soak: written by `make soak` -->", "<!-- soak: end -->")
LOST_SECONDS = 3.0
GONE_SECONDS = 1.0
# Until caches are full and every buffer has been as large as it gets.
WARM_SHARE = 0.15


@dataclass(frozen=True)
class Minute:
    """The state at the end of a minute: MiB of all processes, frames of each stream so far, reconnects so far."""

    seconds: float
    memory: float
    frames: dict[str, float]
    reconnects: float


@dataclass
class Soak:
    """What is watched."""

    streams: int
    rate: float
    minutes: list[Minute] = field(default_factory=list)
    identities: dict[str, Identities] = field(default_factory=dict)
    dropped: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    losses: int = 0

    @property
    def warm(self) -> list[Minute]:
        """The minutes after the warm-up, at least two."""
        return self.minutes[min(int(len(self.minutes) * WARM_SHARE), len(self.minutes) - 2) :]

    def summary(self) -> dict[str, Any]:
        """The figures that count."""
        warm, tally = self.warm, list(self.identities.values())
        slope = statistics.linear_regression([one.seconds / 3600 for one in warm], [one.memory for one in warm]).slope
        reconnects = warm[-1].reconnects - warm[0].reconnects
        grown = slope * (warm[-1].seconds - warm[0].seconds) / 3600
        return {
            "minutes": round(self.minutes[-1].seconds / 60, 1),
            "streams": self.streams,
            "framesASecondAsked": self.rate,
            "framesASecondFirst": _rates(self.minutes[: len(self.minutes) // 4 + 2]),
            "framesASecondLast": _rates(self.minutes[-(len(self.minutes) // 4 + 2) :]),
            "memoryFirst": round(warm[0].memory, 1),
            "memoryLast": round(warm[-1].memory, 1),
            "memorySlopeAnHour": round(slope, 2),
            "memoryAHundredReconnects": round(100 * grown / reconnects, 2) if reconnects else None,
            "camerasLost": self.losses,
            "reconnects": self.minutes[-1].reconnects,
            "dropped": self.dropped,
            "jobsFailed": self.failed,
            "frames": sum(one.frames for one in tally),
            "tracks": sum(one.distinct for one in tally),
            "idsSharedInAFrame": sum(one.shared for one in tally),
            "idsReused": sum(one.reused for one in tally),
            "framesOutOfOrder": sum(one.backwards for one in tally),
        }


def _rates(minutes: list[Minute]) -> float:
    """Median over the streams of the frames a second."""
    first, last = minutes[0], minutes[-1]
    passed = last.seconds - first.seconds
    return round(statistics.median((last.frames[uid] - first.frames[uid]) / passed for uid in last.frames), 3)


async def soak(plant: Plant, cameras: CameraSimulator, streams: int, minutes: float, rate: float) -> Soak:
    """Watch for so long; at the end every stream is stopped, and what its log has is complete."""
    watched = Soak(streams, rate)
    jobs = {f"soak-{one}": _job(cameras.rtsp(f"/cam{one}"), f"soak-{one}", rate) for one in range(1, streams + 1)}
    await plant.client.assign(*jobs.values())
    for uid in jobs:
        await plant.client.until(uid, {JobState.RUNNING})
    watched.identities = {uid: Identities(LOST_SECONDS) for uid in jobs}
    reading = [asyncio.create_task(read(plant, uid, tally)) for uid, tally in watched.identities.items()]
    losing = asyncio.create_task(lose(cameras, watched))
    await measure(plant, watched, minutes)
    losing.cancel()
    await asyncio.wait([losing])
    watched.dropped = drops(plant.counts())
    async with asyncio.timeout(60):
        watched.failed = [uid for uid in jobs if await state_of(plant, uid) is JobState.FAILED]
        await plant.client.assign()
        await asyncio.gather(*reading)
    return watched


def _job(url: str, uid: str, rate: float) -> Entry:
    return camera_job(url, uid, rate, least=0.2, track={"lostSeconds": LOST_SECONDS})


async def measure(plant: Plant, watched: Soak, minutes: float) -> None:
    """Note the state every minute."""
    began = time.monotonic()
    for number in itertools.count(0):
        await asyncio.sleep(max(0.0, began + 60 * number - time.monotonic()))
        counts = await asyncio.to_thread(plant.counts)
        seconds = time.monotonic() - began
        frames, reconnects = counts["frames_processed"], sum(counts.get("source_reconnects", {}).values())
        minute = Minute(seconds, await asyncio.to_thread(plant.memory), frames, reconnects)
        watched.minutes.append(minute)
        print(f"{seconds / 60:6.1f} min  {minute.memory:7.1f} MiB  {sum(frames.values()):8.0f} frames", flush=True)
        if number >= minutes:
            return


async def lose(cameras: CameraSimulator, watched: Soak) -> None:
    """In the middle of every minute another camera is gone for a moment: all are there when the state is noted."""
    began = time.monotonic()
    for number in itertools.count():
        await asyncio.sleep(max(0.0, began + 60 * number + 30 - time.monotonic()))
        path = f"/cam{number % watched.streams + 1}"
        await asyncio.to_thread(cameras.fault, path, "stop")
        await asyncio.sleep(GONE_SECONDS)
        await asyncio.to_thread(cameras.fault, path, "none")
        watched.losses += 1


async def read(plant: Plant, uid: str, tally: Identities) -> None:
    """Follow a job's log to its end."""
    rest = b""
    async for data in plant.client.chunks(uid, "?offset=oldest"):
        whole, _, rest = (rest + data).rpartition(b"\n\n")
        for document in log.documents(whole):
            note(tally, json.loads(document))


def note(tally: Identities, chunk: dict[str, Any]) -> None:
    """Look at one document of a log."""
    if chunk["finish_reason"] is None:
        targets = [target for result in chunk["delta"]["results"] for target in result["targets"]]
        ids = [target["track_id"] for target in targets if "track_id" in target]
        tally.frame(chunk["stream_info"]["frame_index"], chunk["stream_info"]["pts"], ids)


async def state_of(plant: Plant, uid: str) -> JobState:
    """The job's state now."""
    return (await plant.client.until(uid, set(JobState)))[-1].state


def drops(counts: dict[str, dict[str, float]]) -> dict[str, float]:
    """Frames dropped in all, by cause."""
    found = Counter[str]()
    for name, jobs in counts.items():
        if name.startswith("dropped:"):
            found[name.removeprefix("dropped:")] += sum(jobs.values())
    return dict(found)


def written(document: dict[str, Any]) -> str:
    """As it stands in the page."""
    one = document["summary"]
    return "\n".join(
        [
            f"{document['date']}, {document['machine']}, load {document['load']}.",
            "",
            f"{one['streams']} cameras over RTSP (768x576, 10 pictures a second, {one['framesASecondAsked']:g} of them "
            f"analysed and tracked) on one worker for {one['minutes']:g} minutes; every minute one of them was lost.",
            "",
            "| what | found |",
            "| --- | --- |",
            f"| memory of all processes (PSS), after the warm-up and at the end | {one['memoryFirst']:g} and "
            f"{one['memoryLast']:g} MiB, {one['memorySlopeAnHour']:+g} MiB an hour |",
            f"| cameras lost, reconnects | {one['camerasLost']}, {one['reconnects']:g} |",
            f"| frames a second and stream, first and last quarter | {one['framesASecondFirst']:g} and "
            f"{one['framesASecondLast']:g} |",
            f"| frames told, out of order | {one['frames']}, {one['framesOutOfOrder']} |",
            f"| tracks, ids shared by two objects, ids that came back | {one['tracks']}, {one['idsSharedInAFrame']}, "
            f"{one['idsReused']} |",
            f"| frames dropped | {', '.join(f'{count:g} {cause}' for cause, count in one['dropped'].items()) or 0} |",
            f"| jobs failed | {len(one['jobsFailed'])} |",
        ]
    )


async def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1.0, help="frames a second that are analysed of each stream")
    options = parser.parse_args()
    begun = head()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="videofleet-soak-")))
        cameras = stack.enter_context(CameraSimulator(["--cameras", str(options.streams)]))
        plant = await stack.enter_async_context(running(folder))
        watched = await soak(plant, cameras, options.streams, options.minutes, options.rate)
    begun["load"] += f", {os.getloadavg()[1]:.1f} at the end"
    document = {**begun, "summary": watched.summary(), "minutes": [asdict(one) for one in watched.minutes]}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), written(document), SOAK), encoding="utf-8")
    print(written(document))


if __name__ == "__main__":
    asyncio.run(main())
