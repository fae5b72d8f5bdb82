"""Receivers are told what workers that are no more have left, by a worker that never had the job."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import pytest

from tests.support.archives import PREFIX, becomes, chunk, mark
from tests.support.letters import TellingEpoch, letter
from tests.support.receiver import Receiver
from tests.support.worker_client import file_job
from videofleet_api.codes import OutputHealth
from videofleet_api.finalize import Finalize, Notes, Untold
from videofleet_api.targets import JobOutputs, RouterTarget, WebhookTarget
from videofleet_archive.closing import Closing, close_log
from videofleet_archive.extent import batches_folder
from videofleet_archive.notes import note_untold, read_notes
from videofleet_archive.shots import shot_key
from videofleet_archive.store import Store
from videofleet_archive.threads import StoreThreads
from videofleet_worker.logs import Secrets
from videofleet_worker.outputs.documents import track_document
from videofleet_worker.outputs.letters import SHOT
from videofleet_worker.outputs.posts import SIGNATURE
from videofleet_worker.outputs.shots import Moment
from videofleet_worker.outputs.tracks import OpenTrack
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.leftovers import Leftovers
from videofleet_worker.pipeline.untold import UntoldRuns

pytestmark = pytest.mark.usefixtures("impatient")

FLEET = "fleet-1"
UNTOLD = Untold(namespace="default", uid="job-1", run=1, epoch=1, worker="gone")
CANCELLED = Closing("job-1", 1, 1, "closer", "cancelled")
TRACK = OpenTrack(7, "person", 0.9, Moment(0, 0.0, 1000.0), Moment(3, 0.3, 1000.3))


def to(receiver: Receiver) -> JobOutputs:
    return JobOutputs(webhooks=[WebhookTarget(url=receiver.url("/a"))])


def rest(outputs: JobOutputs) -> Finalize:
    return Finalize(key="k", uid="job-1", namespace="default", name="job", untold=[UNTOLD], outputs=outputs)


def teller(
    threads: StoreThreads, ways: WaysOut, seconds: float = 10.0, leftovers: Leftovers | None = None
) -> UntoldRuns:
    return UntoldRuns(threads, ways, leftovers or Leftovers(Secrets()), seconds)


def taken(receiver: Receiver) -> list[str]:
    """The keys of what the receiver has, each once and without the job's: what is on its way when its worker is killed
    comes twice."""
    keys = [post.headers["Idempotency-Key"].removeprefix("job-1/1/main/") for post in receiver.taken]
    return list(dict.fromkeys(keys))


async def killed(threads: StoreThreads, ways: WaysOut, receiver: Receiver) -> None:
    """An epoch that dies with two letters that nobody has, and a track whose end nobody saw."""
    note_untold(threads.store, FLEET, UNTOLD)
    receiver.usual = 503
    here = await TellingEpoch.begun(threads, ways, to(receiver))
    assert here.writer is not None
    await here.tell(0, [letter(1), letter(7)])
    ends = ({"track": track_document(TRACK)},)
    await here.writer.append(chunk(1), replace(mark(1), unended=lambda: ends))
    await here.writer.flush()
    await here.kill()
    receiver.taken.clear()


async def test_letters_are_delivered_and_of_a_log_that_was_ended_behind_its_worker_the_ends_of_tracks(
    threads: StoreThreads, ways: WaysOut, store: Store, receiver: Receiver
) -> None:
    await killed(threads, ways, receiver)
    close_log(store, PREFIX, CANCELLED)
    receiver.usual = 200
    delivered = await teller(threads, ways).tell(FLEET, rest(to(receiver)))
    assert delivered is not None
    assert delivered.health is OutputHealth.DELIVERED
    assert taken(receiver) == ["1/trackBegin", "7/trackBegin", "7/trackEnd"]
    end = receiver.taken[-1].json
    assert end["track"] == track_document(TRACK)
    assert end["job"]["name"] == "job"
    assert (end["frame_index"], end["pts"]) == (3, 0.3)
    assert read_notes(store, FLEET) == Notes()
    assert store.listing(batches_folder(PREFIX)) == []

    before = len(receiver.taken)
    note_untold(store, FLEET, UNTOLD)
    await teller(threads, ways).tell(FLEET, rest(to(receiver)))
    assert len(receiver.taken) == before, "who has it does not get it again"


async def test_a_log_that_may_get_its_end_yet_stays_noted(
    threads: StoreThreads, ways: WaysOut, store: Store, receiver: Receiver
) -> None:
    await killed(threads, ways, receiver)
    receiver.usual = 200
    await teller(threads, ways).tell(FLEET, rest(to(receiver)))
    assert taken(receiver) == ["1/trackBegin", "7/trackBegin"]
    assert read_notes(store, FLEET).untold == [UNTOLD]
    close_log(store, PREFIX, CANCELLED)
    await teller(threads, ways).tell(FLEET, rest(to(receiver)))
    assert taken(receiver)[2:] == ["7/trackEnd"]
    assert read_notes(store, FLEET) == Notes()


async def test_receivers_that_are_away_for_longer_stay_noted(
    threads: StoreThreads, ways: WaysOut, store: Store, receiver: Receiver
) -> None:
    await killed(threads, ways, receiver)
    close_log(store, PREFIX, CANCELLED)
    delivered = await teller(threads, ways, 0.1).tell(FLEET, rest(to(receiver)))
    assert delivered is not None
    assert (delivered.health, delivered.message) == (OutputHealth.WAITING, "webhook-0: it answered 503")
    assert read_notes(store, FLEET).untold == [UNTOLD]
    receiver.usual = 200
    await teller(threads, ways).tell(FLEET, rest(to(receiver)))
    assert taken(receiver) == ["1/trackBegin", "7/trackBegin", "7/trackEnd"]


async def test_a_job_that_is_gone_or_has_no_receivers_any_more_tells_nobody(
    threads: StoreThreads, ways: WaysOut, store: Store, receiver: Receiver
) -> None:
    await killed(threads, ways, receiver)
    assert await teller(threads, ways).tell(FLEET, rest(JobOutputs())) is None
    assert read_notes(store, FLEET) == Notes()


async def test_who_tells_them_already_is_let_finish(
    threads: StoreThreads, ways: WaysOut, store: Store, receiver: Receiver
) -> None:
    note_untold(store, FLEET, UNTOLD)
    here = await TellingEpoch.begun(threads, ways, to(receiver))
    receiver.usual = 503
    await here.tell(0, [letter(1), letter(2)])
    leftovers = Leftovers(Secrets())

    async def told() -> None:
        # Whatever is sent from now on is refused.
        receiver.statuses.append(500)

    await leftovers.leave(file_job("rtsp://camera/1", "job-1"), here.outlets, told)
    delivered = await teller(threads, ways, 0.1, leftovers).tell(FLEET, rest(to(receiver)))
    assert delivered is not None
    assert delivered.health is OutputHealth.WAITING
    assert read_notes(store, FLEET).untold == [UNTOLD]
    receiver.usual = 200
    delivered = await teller(threads, ways, leftovers=leftovers).tell(FLEET, rest(to(receiver)))
    assert delivered is not None
    assert delivered.health is OutputHealth.DELIVERED
    assert taken(receiver) == ["1/trackBegin", "2/trackBegin"]
    assert receiver.statuses == [500], "nothing was sent again"
    assert read_notes(store, FLEET) == Notes()


@pytest.mark.parametrize("path", ["/a", "/b"], ids=["the same with a key", "another one"])
async def test_who_tells_them_already_makes_room_for_the_receivers_that_the_job_has_now(
    threads: StoreThreads, ways: WaysOut, store: Store, receiver: Receiver, path: str
) -> None:
    note_untold(store, FLEET, UNTOLD)
    here = await TellingEpoch.begun(threads, ways, to(receiver))
    receiver.usual = 503
    await here.tell(0, [letter(1), letter(2)])
    leftovers = Leftovers(Secrets())

    async def told() -> None:
        raise AssertionError("the former ones have it all")

    await leftovers.leave(file_job("rtsp://camera/1", "job-1"), here.outlets, told)
    (former,) = leftovers
    edited = JobOutputs(webhooks=[WebhookTarget(url=receiver.url(path), secret="s3cret")])
    telling = asyncio.create_task(teller(threads, ways, leftovers=leftovers).tell(FLEET, rest(edited)))
    await becomes(lambda: former not in list(leftovers), "the former ones are told no more")
    receiver.usual = 200
    delivered = await telling
    assert delivered is not None
    assert delivered.health is OutputHealth.DELIVERED
    assert not list(leftovers)
    assert taken(receiver) == ["1/trackBegin", "2/trackBegin"]
    assert {post.path for post in receiver.taken if SIGNATURE in post.headers} == {path}
    assert read_notes(store, FLEET) == Notes()


async def shots(here: TellingEpoch, numbers: Collection[int]) -> None:
    for number in numbers:
        here.threads.store.replace(shot_key(PREFIX, number), b"a picture")
    await here.tell(min(numbers), [letter(number, SHOT, track_id=number) for number in numbers])


async def test_what_a_router_takes_is_told_once_and_what_it_refuses_is_not_among_it(
    threads: StoreThreads, ways: WaysOut, store: Store, receiver: Receiver
) -> None:
    note_untold(store, FLEET, UNTOLD)
    router = JobOutputs(router=RouterTarget(url=receiver.url("/shots")))
    here = await TellingEpoch.begun(threads, ways, router)
    receiver.usual = 503
    await shots(here, (1, 2, 3))
    await here.kill()

    async def told(seconds: float = 10.0) -> tuple[OutputHealth, int | None]:
        delivered = await teller(threads, ways, seconds).tell(FLEET, rest(router))
        assert delivered is not None
        return delivered.health, delivered.objects_posted

    assert await told(0.1) == (OutputHealth.WAITING, 0)
    receiver.usual = 200
    receiver.statuses = [400]
    assert await told() == (OutputHealth.DELIVERED, 2)
    assert await told() == (OutputHealth.DELIVERED, 0)


async def test_of_what_the_worker_that_ended_the_run_delivers_the_rest_is_told(
    threads: StoreThreads, ways: WaysOut, store: Store, receiver: Receiver
) -> None:
    note_untold(store, FLEET, UNTOLD)
    router = JobOutputs(router=RouterTarget(url=receiver.url("/shots")))
    here = await TellingEpoch.begun(threads, ways, router)
    await shots(here, (1,))
    await becomes(lambda: here.outlets.posted == 1, "the first is posted")
    assert here.outlets.told()["objects_posted"] == 1
    receiver.usual = 503
    await shots(here, (2, 3))
    leftovers = Leftovers(Secrets())

    async def over() -> None:
        """Nothing is to be noted."""

    await leftovers.leave(file_job("rtsp://camera/1", "job-1"), here.outlets, over)

    async def told(seconds: float = 10.0) -> int | None:
        delivered = await teller(threads, ways, seconds, leftovers).tell(FLEET, rest(router))
        assert delivered is not None
        return delivered.objects_posted

    assert await told(0.1) == 0
    receiver.usual = 200
    assert await told() == 2
    assert await told() == 0
