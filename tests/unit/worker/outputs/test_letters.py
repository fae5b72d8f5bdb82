"""Letters from the log to receivers: each at least once, whoever is killed when, and none that the log knows not."""

import asyncio

import pytest

from tests.support.archives import PREFIX, Away, FaultyStore, becomes, mark, terminal
from tests.support.letters import TellingEpoch, letter
from tests.support.receiver import Receiver
from tests.support.worker_client import file_job
from videofleet_api.codes import OutputHealth
from videofleet_api.outputs import OutputEvent
from videofleet_api.targets import JobOutputs, RouterTarget, WebhookTarget
from videofleet_archive.extent import batch_key, batches_folder
from videofleet_archive.opening import see_log
from videofleet_archive.outbox import Cursor, read_cursor, store_batch
from videofleet_archive.shots import shot_key
from videofleet_archive.threads import StoreThreads
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.logs import Secrets
from videofleet_worker.outputs import courier, outbox
from videofleet_worker.outputs.letters import ONGOING, SHOT
from videofleet_worker.outputs.outbox import Outbox
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.leftovers import Leftovers
from videofleet_worker.pipeline.outlets import JobOutlets

pytestmark = pytest.mark.usefixtures("impatient")


def _webhook(receiver: Receiver, **given: object) -> JobOutputs:
    return JobOutputs(webhooks=[WebhookTarget(url=receiver.url("/a"), **given)])  # type: ignore[arg-type]


def _tracks(receiver: Receiver, path: str = "/a") -> list[int]:
    return [post.json["track"]["track_id"] for post in receiver.taken if post.path == path]


async def test_what_is_sealed_is_told_and_forgotten(
    threads: StoreThreads, ways: WaysOut, store: FaultyStore, receiver: Receiver
) -> None:
    here = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    for frame in range(3):
        await here.tell(frame, [letter(2 * frame), letter(2 * frame + 1)])
    assert await here.outlets.flush(60)
    assert _tracks(receiver) == list(range(6))
    assert [post.headers["Idempotency-Key"] for post in receiver.posts] == [
        f"job-1/1/main/{number}/trackBegin" for number in range(6)
    ]
    sequences = [post.json["sequence"] for post in receiver.posts]
    assert sequences == sorted(set(sequences))
    assert {post.headers["Videofleet-Sequence"] for post in receiver.posts} == set(sequences)
    assert {post.headers["Videofleet-Epoch"] for post in receiver.posts} == {"1"}
    assert store.listing(batches_folder(PREFIX)) == []
    await here.outlets.close()


async def test_who_is_killed_before_it_has_told_is_followed_by_one_that_tells(
    threads: StoreThreads, ways: WaysOut, receiver: Receiver
) -> None:
    receiver.usual = 503
    first = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    await first.tell(0, [letter(1), letter(2)])
    await becomes(lambda: first.outlets.told()["outputs"] is OutputHealth.WAITING, "it was tried")
    assert first.outlets.told()["outputs_message"] == "webhook-0: it answered 503"
    await first.kill()
    receiver.usual = 200
    second = await TellingEpoch.begun(threads, ways, _webhook(receiver), 2)
    await second.tell(1, [letter(3)])
    assert await second.outlets.flush(60)
    assert list(dict.fromkeys(_tracks(receiver))) == [1, 2, 3]
    assert second.outlets.told()["outputs"] is OutputHealth.DELIVERED
    await second.outlets.close()


async def test_what_comes_twice_comes_under_the_same_key(
    threads: StoreThreads, ways: WaysOut, receiver: Receiver
) -> None:
    first = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    receiver.statuses = [200, 200]
    receiver.usual = 503
    await first.tell(0, [letter(1), letter(2), letter(3)])
    await becomes(lambda: len(receiver.posts) > 3, "two have come")
    await first.kill()
    receiver.usual = 200
    second = await TellingEpoch.begun(threads, ways, _webhook(receiver), 2)
    assert await second.outlets.flush(60)
    keys = [post.headers["Idempotency-Key"] for post in receiver.taken]
    assert {key.split("/")[3] for key in keys} == {"1", "2", "3"}
    assert len(receiver.taken) <= 5
    await second.outlets.close()


async def test_what_was_never_sealed_is_not_told(
    threads: StoreThreads, ways: WaysOut, store: FaultyStore, receiver: Receiver
) -> None:
    """A worker that had got as far as its letters was overtaken: the log knows nothing of them."""
    first = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    await first.tell(0, [letter(1)])
    assert first.writer is not None
    end = first.writer.view.extent.end
    store_batch(store, PREFIX, end, letter(2).line())
    await first.kill()
    second = await TellingEpoch.begun(threads, ways, _webhook(receiver), 2)
    await second.tell(1, [letter(3)])
    assert await second.outlets.flush(60)
    assert set(_tracks(receiver)) == {1, 3}
    assert store.read(batch_key(PREFIX, end)) is None
    await second.outlets.close()


async def test_the_rest_of_a_run_that_is_over_is_told(threads: StoreThreads, ways: WaysOut, receiver: Receiver) -> None:
    receiver.usual = 503
    first = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    assert first.writer is not None
    await first.writer.finish(terminal(3), mark(3), notes=letter(1).line())
    await first.kill()
    receiver.usual = 200
    log = await see_log(threads, PREFIX)
    assert log.ending is not None
    rest = Outbox(log.view)
    await rest.open()
    second = JobOutlets(ways)
    second.use(_webhook(receiver))
    second.serve(rest)
    assert await second.flush(60)
    assert set(_tracks(receiver)) == {1}
    await second.close()


async def test_the_rest_of_an_earlier_run_is_told_by_whoever_has_the_job_now(
    threads: StoreThreads, ways: WaysOut, store: FaultyStore, receiver: Receiver
) -> None:
    receiver.usual = 503
    first = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    assert first.writer is not None
    await first.writer.finish(terminal(3), mark(3), notes=letter(1).line())
    await first.kill()
    receiver.usual = 200
    entry = file_job("http://host/a.mp4", "job-1", epoch=2, run=2)
    assert entry.spec is not None
    spec = entry.spec.model_copy(update={"outputs": _webhook(receiver)})
    leftovers = Leftovers(Secrets())
    leftovers.look_back(Job(entry, spec), threads, ways)
    await becomes(lambda: [one.entry.run for one in leftovers] == [1], "it is found")
    await becomes(lambda: not list(leftovers), "it is told")
    assert set(_tracks(receiver)) == {1}
    assert store.listing(batches_folder(PREFIX)) == []
    await leftovers.close()


async def test_each_receiver_goes_at_its_own_pace(
    threads: StoreThreads, ways: WaysOut, store: FaultyStore, receiver: Receiver
) -> None:
    hanging = WebhookTarget(url=receiver.url("/hang"))
    outputs = JobOutputs(webhooks=[hanging, WebhookTarget(url=receiver.url("/a"))])
    here = await TellingEpoch.begun(threads, ways, outputs)
    for frame in range(5):
        await here.tell(frame, [letter(frame)])
    await becomes(lambda: len(receiver.at("/a")) == 5, "the other one has all")
    await becomes(lambda: here.outlets.waiting("webhook-1") == 0, "and it is seen")
    assert here.outlets.waiting("webhook-0") == 5
    assert len(store.listing(batches_folder(PREFIX))) == 5
    # Whoever is new is not told what was.
    here.outlets.use(JobOutputs(webhooks=[*outputs.webhooks, WebhookTarget(url=receiver.url("/new"))]))
    await here.tell(5, [letter(5)])
    await becomes(lambda: _tracks(receiver, "/new") == [5], "it is told what comes")
    # Without the one that hangs nobody waits for anything.
    here.outlets.use(JobOutputs(webhooks=[WebhookTarget(url=receiver.url("/a"))]))
    assert await here.outlets.flush(60)
    await here.outlets.close()


async def test_who_has_everything_takes_nothing_from_who_has_not(
    threads: StoreThreads, ways: WaysOut, store: FaultyStore, receiver: Receiver
) -> None:
    """Outlets are closed one by one; what others have yet to get stays until somebody else takes it there."""
    outputs = JobOutputs(webhooks=[WebhookTarget(url=receiver.url("/hang")), WebhookTarget(url=receiver.url("/a"))])
    here = await TellingEpoch.begun(threads, ways, outputs)
    for one in here.outlets._couriers["webhook-0"]:
        await one.close()
    await here.tell(0, [letter(0)])
    other = here.outlets.receivers["webhook-1"].cursor
    await becomes(lambda: read_cursor(store, PREFIX, other) not in (None, Cursor()), "the other one has it")
    await here.outlets.close()
    assert len(store.listing(batches_folder(PREFIX))) == 1
    # What is wanted of outlets that are closed starts nothing.
    here.outlets.use(JobOutputs(webhooks=[WebhookTarget(url=receiver.url("/new"))]))
    assert list(here.outlets.receivers) == ["webhook-0", "webhook-1"]


async def test_what_is_about_to_be_sealed_is_not_taken_for_stale(
    threads: StoreThreads, ways: WaysOut, store: FaultyStore, receiver: Receiver
) -> None:
    here = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    assert here.writer is not None
    view = (await see_log(threads, PREFIX)).view
    store_batch(store, PREFIX, view.extent.end, letter(1).line())
    somebody = Outbox(view)
    await somebody.open()
    assert somebody.is_caught_up(Cursor())
    assert store.read(batch_key(PREFIX, view.extent.end)) is not None
    await here.outlets.close()


async def test_who_takes_another_place_in_the_list_loses_nothing(
    threads: StoreThreads, ways: WaysOut, receiver: Receiver
) -> None:
    stays = WebhookTarget(url=receiver.url("/a"))
    here = await TellingEpoch.begun(threads, ways, JobOutputs(webhooks=[WebhookTarget(url=receiver.url("/b")), stays]))
    await here.tell(0, [letter(0)])
    assert await here.outlets.flush(60)
    receiver.usual = 503
    await here.tell(1, [letter(1)])
    here.outlets.use(JobOutputs(webhooks=[stays]))
    receiver.usual = 200
    await becomes(lambda: set(_tracks(receiver)) == {0, 1}, "it has both")
    await here.outlets.close()


@pytest.mark.parametrize(
    ("cause", "age"), [pytest.param("too_old", 2 * courier.MAX_AGE, id="age"), pytest.param("too_many", 0.0, id="size")]
)
async def test_what_nobody_takes_is_given_up_and_counted(
    cause: str, age: float, threads: StoreThreads, ways: WaysOut, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cause == "too_many":
        monkeypatch.setattr(outbox, "MAX_BATCHES", 2)
    receiver.usual = 503
    here = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    for frame in range(5):
        await here.tell(frame, [letter(frame, age=age if frame < 3 else 0.0)])
    outlet = here.outlets.receivers["webhook-0"].outlet
    await becomes(lambda: outlet.lost[cause] == 3, "what is above the limit is given up")
    receiver.usual = 200
    assert await here.outlets.flush(60)
    assert _tracks(receiver) == [3, 4]
    assert outlet.lost == {cause: 3}
    await here.outlets.close()


async def test_a_picture_is_stored_before_the_letter_about_it(
    threads: StoreThreads, ways: WaysOut, receiver: Receiver
) -> None:
    settled = asyncio.Event()

    async def settle(tracks: set[int]) -> None:
        assert tracks == {7}
        await settled.wait()

    router = RouterTarget(url=receiver.url("/shots"))
    here = await TellingEpoch.begun(threads, ways, JobOutputs(router=router))
    assert here.writer is not None
    here.outbox = here.writer.notes = Outbox(here.writer.view, settle)
    here.outlets.serve(here.outbox)
    telling = asyncio.create_task(here.tell(0, [letter(7, SHOT, track_id=7)]))
    await asyncio.sleep(0.1)
    assert threads.store.listing(batches_folder(PREFIX)) == []
    threads.store.replace(shot_key(PREFIX, 7), b"jpeg")
    settled.set()
    await telling
    assert await here.outlets.flush(60)
    assert [post.form["photo"] for post in receiver.taken] == [b"jpeg"]
    await here.outlets.close()


async def test_an_archive_that_is_away_loses_nothing(
    threads: StoreThreads, ways: WaysOut, store: FaultyStore, receiver: Receiver
) -> None:
    receiver.usual = 503
    here = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    await here.tell(0, [letter(1)])
    store.fault = Away()
    receiver.usual = 200
    await becomes(lambda: len(receiver.taken) == 1, "what is at hand is told")
    assert not await here.outlets.flush(0.1), "it cannot be noted"
    store.fault = lambda method, key, late: None
    assert await here.outlets.flush(60)
    assert store.listing(batches_folder(PREFIX)) == []
    await here.outlets.close()


async def test_what_is_told_now_and_then_goes_to_whom_it_is_for(
    threads: StoreThreads, ways: WaysOut, receiver: Receiver
) -> None:
    often = WebhookTarget(url=receiver.url("/often"), interval=1.0, events=[OutputEvent.LINE_CROSS])
    here = await TellingEpoch.begun(threads, ways, JobOutputs(webhooks=[often, WebhookTarget(url=receiver.url("/a"))]))
    to = here.outlets.receivers["webhook-0"].cursor
    await here.tell(0, [letter(1, ONGOING, to=to), letter(2)])
    assert await here.outlets.flush(60)
    assert (_tracks(receiver, "/often"), _tracks(receiver)) == ([1], [2])
    await here.outlets.close()


async def test_a_router_may_want_events_alone(threads: StoreThreads, ways: WaysOut, receiver: Receiver) -> None:
    here = await TellingEpoch.begun(threads, ways, JobOutputs(router=RouterTarget(events_url=receiver.url("/a"))))
    await here.tell(0, [letter(1), letter(1, SHOT, track_id=1)])
    assert await here.outlets.flush(60)
    assert [post.json["event"] for post in receiver.posts] == ["trackBegin"]
    assert (here.outlets.posted, here.outlets.not_posted) == (None, None)
    await here.outlets.close()


async def test_another_epoch_is_seen_by_who_tells_the_rest(
    threads: StoreThreads, ways: WaysOut, receiver: Receiver
) -> None:
    receiver.usual = 503
    first = await TellingEpoch.begun(threads, ways, _webhook(receiver))
    await first.tell(0, [letter(1)])
    assert not await first.outlets.is_anothers()
    second = await TellingEpoch.begun(threads, ways, _webhook(receiver), 2)
    assert await first.outlets.is_anothers()
    await first.outlets.close()
    await second.outlets.close()
