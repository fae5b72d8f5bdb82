"""Workers are killed with posts that they have not made: others make them, from the archive that all have."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import becomes
from tests.support.buckets import archive_at, bucket_server, credentials
from tests.support.cameras import CameraSimulator
from tests.support.receiver import Receiver, receiving
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from tests.unit.worker.server.conftest import Keys, StartWorker
from videofleet_api.codes import OutputHealth
from videofleet_api.finalize import Finalize, Notes
from videofleet_api.protocol import TERMINAL, Delivered, Finalized, Inventory, JobState
from videofleet_archive.extent import batches_folder
from videofleet_archive.notes import read_notes
from videofleet_archive.results import results_key
from videofleet_archive.store import Archive, FolderArchive

FRAMES = 60
FLEET = "fleet-1"


class _Place:
    """Where both workers keep results."""

    def __init__(self, archive: Archive, settings: dict[str, str], *, dies: bool) -> None:
        """`dies`: also the worker that ends the job."""
        self.dies = dies
        self.archive = archive
        self.settings = settings


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Place]:
    if request.param == "folder":
        yield _Place(FolderArchive(tmp_path / "archive"), {}, dies=False)
        return
    with bucket_server() as server:
        secret = credentials(tmp_path / "credentials")
        where = {"archive_endpoint": server.url, "archive_credentials": str(secret)}
        yield _Place(archive_at(server, secret), {"ARCHIVE": "s3://results/site/a"} | where, dies=True)


async def test_what_a_killed_worker_had_not_told_is_told_once_it_can_be(
    start_worker: StartWorker, keys: Keys, place: _Place, simulator: CameraSimulator, uid: str
) -> None:
    """Its receivers are away from before its death until after the end of the job; then who has ended it tells them,
    or, where that one is dead as well, any other worker that the operator asks."""
    prefix = f"default/{uid}/1/main"
    async with receiving() as receiver:
        receiver.usual = 503
        outputs = {
            "router": {"url": receiver.url("/shots")},
            "webhooks": [{"url": receiver.url("/events"), "events": ["trackBegin", "trackEnd"], "secret": "s3cret"}],
        }

        def entry(epoch: int) -> Any:
            # Nobody is followed for longer than half a second: many come and go.
            steps = [{"model": "detect"}, {"model": "track", "parameters": {"lostSeconds": 0.5}}]
            analytics = [{"name": "main", "steps": steps}]
            url = simulator.http("/vtest.mp4")
            return file_job(url, uid, epoch=epoch, maxFrames=FRAMES, outputs=outputs, analytics=analytics)

        first = start_worker(**place.settings)
        async with WorkerClient(first, keys.operator) as client:
            await client.assign(entry(1), fleet=FLEET)
            await becomes(lambda: _letters(place.archive, prefix)["shot"] > 0, "a track has ended and is sealed", 60)
        first.kill()
        sealed = _letters(place.archive, prefix)
        noted = read_notes(place.archive, FLEET).untold
        assert [(each.uid, each.epoch) for each in noted] == [(uid, 1)]
        assert receiver.taken == []

        second = start_worker(**place.settings)
        async with WorkerClient(second, keys.operator) as client:
            await client.assign(entry(2), fleet=FLEET)
            last = (await client.until(uid, TERMINAL, 120))[-1]
            assert last.state is JobState.ENDED
            # The job is over; its receivers come back when the worker knows it no more.
            await client.assign(fleet=FLEET)
            await becomes(lambda: bool(_queues(second)), "it goes on with what it has left, and says so")
        noted = read_notes(place.archive, FLEET).untold
        # Where the first one was through before it was killed, the second has nothing of its own to tell.
        assert [each.epoch for each in noted] in ([1], [1, 2])
        if place.dies:
            second.kill()
        last_one = start_worker(**place.settings) if place.dies else second
        async with WorkerClient(last_one, keys.operator) as client:
            client.number = 10
            job = {"uid": uid, "namespace": "default", "name": f"name-of-{uid}"}
            rest = Finalize.model_validate({"key": "rest", "untold": noted, "outputs": outputs} | job)
            await client.assign(finalize=[rest], fleet=FLEET)
            receiver.usual = 200
            tracks = json.loads(place.archive.read(results_key(prefix)) or b"")["tracks"]
            numbers = {track["track_id"] for track in tracks}
            wanted = {(number, kind) for number in numbers for kind in ("trackBegin", "trackEnd")}
            await becomes(lambda: wanted <= set(_told(receiver, "/events")), "every event was told", 60)
            shots = {track["track_id"] for track in tracks if "best_shot" in track}
            await becomes(lambda: shots <= {one[0] for one in _told(receiver, "/shots")}, "every shot was posted")
            await becomes(lambda: not _letters(place.archive, prefix), "nothing is kept of it", 60)
            await becomes(lambda: read_notes(place.archive, FLEET) == Notes(), "nothing is left to do")
            assert (await _told_of_rest(client)).health is OutputHealth.DELIVERED
    assert sealed["trackBegin"] > 0
    assert set(_told(receiver, "/events")) == wanted
    # Nobody was killed between telling and noting that.
    assert set(_told(receiver, "/events").values()) == {1}
    assert "s3cret" not in last_one.log()
    assert not _queues(last_one)


def _queues(worker: WorkerProcess) -> list[str]:
    """The queues of receivers that a worker tells of and that are not empty."""
    samples = [line for line in worker.plain("/metrics")[1].splitlines() if line.startswith("videofleet_output_queue{")]
    return [sample for sample in samples if not sample.endswith(" 0.0")]


async def _told_of_rest(client: WorkerClient) -> Delivered:
    """What the worker says of the receivers when it has done what it was asked."""
    async with asyncio.timeout(60), aclosing(client.events()) as events:
        async for event in events:
            found = event.finalized.get("rest") if isinstance(event, Inventory) else None
            found = event.delivered if isinstance(event, Finalized) else found
            if found is not None:
                return found
    raise AssertionError("the event stream ended")


def _letters(archive: Archive, prefix: str) -> Counter[str]:
    """What is kept for receivers, by kind."""
    kept = (archive.read(one.key) or b"" for one in archive.listing(batches_folder(prefix)))
    return Counter(json.loads(line)["kind"] for batch in kept for line in batch.splitlines())


def _told(receiver: Receiver, path: str) -> Counter[tuple[int, str]]:
    """What was taken, by the track and the event in its key."""
    keys = (post.headers["Idempotency-Key"].split("/") for post in receiver.taken if post.path == path)
    return Counter((int(key[3]), key[4]) for key in keys)
