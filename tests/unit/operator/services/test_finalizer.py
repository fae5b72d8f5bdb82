"""Who does what is left to do in archives."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.domain import NOW, assigned, job, pool, record, snapshot, worker
from tests.unit.kube.helpers import eventually
from tests.unit.operator.services.test_assignments import SPEC, known
from videofleet_api.codes import OutputHealth
from videofleet_api.finalize import Finalize, NotedJob, NotedRun, Notes, Untold
from videofleet_api.phases import Phase
from videofleet_api.protocol import Delivered, JobSpec
from videofleet_api.targets import JobOutputs, WebhookTarget
from videofleet_operator.domain.finalizing import AT_ONCE
from videofleet_operator.domain.model import Record, Worker
from videofleet_operator.services.finalizer import Finalizer
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.packed import pack

ARCHIVED = pool(archive={"claimName": "results"})


class Leader:
    """Turns by hand. `notes`: what workers answer; None: nothing."""

    def __init__(self, *workers: Worker) -> None:
        self.now = 1000.0
        self.notes: Notes | None = Notes()
        self.asked: list[str] = []
        self.workers = list(workers or (worker("a"), worker("b")))
        self.done: dict[str, set[str]] = {}
        self.delivered: Delivered | None = None
        self.changes = 0
        self.jobs: dict[str, KnownJob] = {}
        self.finalizer = Finalizer(
            self._look,
            lambda uid: dict.fromkeys(self.done.get(uid, ()), self.delivered),
            self._changed,
            ["default"],
            lambda: self.now,
        )

    async def _look(self, uid: str) -> Notes | None:
        self.asked.append(uid)
        return self.notes

    def _changed(self) -> None:
        self.changes += 1

    def put(self, uid: str, state: Record, **fields: object) -> None:
        self.jobs[uid] = known(job(uid, state, **fields))

    def turn(self) -> dict[str, list[str]]:
        """Which jobs each worker has something to do for."""
        given = self.finalizer.follow(self.jobs, snapshot((), self.workers, [ARCHIVED, pool("own")]))
        return {uid: [each.uid for each in mine] for uid, mine in given.items()}

    async def looked(self, times: int) -> None:
        """Wait until so many looks were taken in. Those that are asked for begin within a few turns of the loop."""
        await eventually(lambda: len(self.asked) >= times)
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(self.asked) == times


async def test_a_leader_looks_when_it_begins_and_now_and_then() -> None:
    leader = Leader()
    assert leader.turn() == {}
    await leader.looked(1)
    leader.now += 599
    leader.turn()
    await asyncio.sleep(0)
    assert len(leader.asked) == 1
    leader.now += 1
    leader.turn()
    await leader.looked(2)
    await leader.finalizer.close()


async def test_notes_of_jobs_that_are_gone_are_given_out_and_others_not() -> None:
    leader = Leader()
    leader.put("here", record(Phase.INPROGRESS))
    elsewhere = NotedJob(namespace="elsewhere", uid="theirs")
    leader.notes = Notes(
        runs=[NotedRun(namespace="default", uid=uid, run=1) for uid in ("here", "gone")], deleted=[elsewhere]
    )
    leader.turn()
    await leader.looked(1)
    assert leader.changes == 1
    assert leader.turn() == {"id-a": ["gone"]}
    leader.workers = leader.workers[1:]
    assert leader.turn() == {"id-b": ["gone"]}, "another worker goes on with it"
    await leader.finalizer.close()


async def test_without_an_answer_it_asks_again_soon() -> None:
    leader = Leader()
    leader.notes = None
    leader.turn()
    await leader.looked(1)
    leader.now += 5
    leader.turn()
    await leader.looked(2)
    await leader.finalizer.close()


async def test_where_a_job_wrote_that_had_no_worker_is_looked_up() -> None:
    leader = Leader()
    leader.put("waiting", record(Phase.AWAITING))
    leader.turn()
    await leader.looked(1)
    leader.notes = Notes(runs=[NotedRun(namespace="default", uid="waiting", run=1)])
    leader.jobs.clear()
    leader.turn()
    leader.now += 5
    leader.turn()
    await leader.looked(2)
    assert leader.turn() == {"id-a": ["waiting"]}
    await leader.finalizer.close()


async def test_results_that_go_with_their_pod_are_nobodys_to_end() -> None:
    leader = Leader(worker("a"), worker("b", of="default/own"))
    leader.put("camera", replace(record(Phase.INPROGRESS), worker=assigned(worker("b", of="default/own"))))
    leader.turn()
    await leader.looked(1)
    leader.jobs.clear()
    assert leader.turn() == {}
    assert leader.asked == ["id-a"]
    await leader.finalizer.close()


async def test_a_change_is_acted_on_at_once_and_forgotten_when_it_is_done() -> None:
    leader = Leader()
    state = replace(record(Phase.INPROGRESS), worker=assigned(worker("b")))
    leader.put("camera", state)
    leader.turn()
    leader.put("camera", replace(state, phase=Phase.AWAITING, worker=None, completed=NOW))
    assert leader.turn() == leader.turn() == {"id-b": ["camera"]}
    (wanted,) = leader.finalizer.follow(leader.jobs, snapshot((), leader.workers, [ARCHIVED]))["id-b"]
    leader.done["id-b"] = {wanted.key}
    assert leader.turn() == {}
    await leader.finalizer.close()


# Receivers

WELL = Delivered(health=OutputHealth.DELIVERED, message="receivers take what they are sent")
DONE = record(Phase.COMPLETED, completed=NOW, finished=True)


def told_to(url: str) -> JobSpec:
    return SPEC.model_copy(update={"outputs": JobOutputs(webhooks=[WebhookTarget(url=url)])})


def done_with(payload: JobSpec | None, settings: str = "s1") -> KnownJob:
    return known(job("camera", DONE, settings=settings), payload)


async def untold_job(payload: JobSpec | None, *, by: str = "instance-gone") -> Leader:
    """A leader that has looked, and found that the receivers of a job that is done may not have everything."""
    leader = Leader()
    leader.jobs["camera"] = done_with(payload)
    leader.notes = Notes(untold=[Untold(namespace="default", uid="camera", run=1, epoch=3, worker=by)])
    leader.turn()
    await leader.looked(1)
    return leader


def given(leader: Leader, to: str) -> Finalize:
    (wanted,) = leader.finalizer.follow(leader.jobs, snapshot((), leader.workers, [ARCHIVED]))[to]
    return wanted


async def test_receivers_are_told_by_another_worker_as_the_job_names_them_now() -> None:
    leader = await untold_job(told_to("http://a"))
    assert leader.turn() == {"id-a": ["camera"]}
    before = given(leader, "id-a")
    assert [each.url for each in before.outputs.webhooks] == ["http://a"]
    assert given(leader, "id-a") is before
    leader.jobs["camera"] = done_with(told_to("http://b"), "s2")
    after = given(leader, "id-a")
    assert [each.url for each in after.outputs.webhooks] == ["http://b"]
    assert after.key != before.key
    leader.done["id-a"] = {before.key}
    assert leader.turn() == {"id-a": ["camera"]}, "the former receivers were told, not these"
    leader.done["id-a"] = {after.key}
    leader.delivered = WELL
    assert leader.turn() == {}
    assert leader.finalizer.delivered("camera") == WELL
    leader.jobs["camera"] = known(job("camera", record(Phase.STARTING, run=2)))
    leader.turn()
    assert leader.finalizer.delivered("camera") is None, "its next worker says how they are"
    await leader.finalizer.close()


def with_posted(posted: int, not_posted: int) -> KnownJob:
    done = done_with(told_to("http://a"))
    status = pack({"statistics": {"objectsPosted": posted, "objectsNotPosted": not_posted}})
    return replace(done, source=replace(done.source, packed_status=status))


@pytest.mark.parametrize("shown", [4, 6], ids=["not written yet", "written"])
async def test_best_shots_that_a_router_takes_after_the_end_count_once(shown: int) -> None:
    leader = await untold_job(told_to("http://a"))
    leader.jobs["camera"] = with_posted(4, 5)
    leader.delivered = WELL.model_copy(update={"objects_posted": 2})

    async def answered() -> int | None:
        leader.done["id-a"] = {given(leader, "id-a").key}
        assert leader.turn() == leader.turn() == {}
        delivered = leader.finalizer.delivered("camera")
        assert delivered is not None
        return delivered.objects_posted

    async def looks_again(times: int) -> None:
        leader.done.clear()
        leader.now += 600
        leader.turn()
        await leader.looked(times)

    assert await answered() == 6, "the three that were given up stay so"
    await looks_again(2)
    assert await answered() == 6, "that was the same answer"
    leader.jobs["camera"] = with_posted(shown, 9 - shown)
    await looks_again(3)
    leader.delivered = WELL.model_copy(update={"objects_posted": 1})
    assert await answered() == 7
    await leader.finalizer.close()


async def test_best_shots_of_an_earlier_run_do_not_count_in_the_last_one() -> None:
    leader = await untold_job(told_to("http://a"))
    leader.jobs["camera"] = replace(with_posted(4, 5), job=job("camera", replace(DONE, run=2), settings="s1"))
    leader.delivered = WELL.model_copy(update={"objects_posted": 2})
    leader.done["id-a"] = {given(leader, "id-a").key}
    leader.turn()
    delivered = leader.finalizer.delivered("camera")
    assert delivered is not None
    assert delivered.objects_posted == 4
    await leader.finalizer.close()


async def test_who_has_ended_the_job_is_asked_whether_its_receivers_have_all() -> None:
    leader = await untold_job(told_to("http://a"), by="instance-b")
    assert leader.turn() == {"id-b": ["camera"]}
    await leader.finalizer.close()


async def test_a_job_that_is_given_out_again_or_lacks_a_secret_is_left_to_the_next_look() -> None:
    without = await untold_job(None)
    assert without.turn() == {}
    await without.finalizer.close()
    for becomes in (known(job("camera", record(Phase.STARTING, run=1))), None):
        leader = await untold_job(told_to("http://a"))
        assert leader.turn() == {"id-a": ["camera"]}
        leader.jobs = {} if becomes is None else {"camera": becomes}
        assert leader.turn() == {}
        await leader.finalizer.close()


async def test_when_a_worker_is_gone_it_is_looked_what_it_left() -> None:
    leader = Leader()
    leader.turn()
    await leader.looked(1)
    leader.workers[0] = replace(leader.workers[0], instance="its next process")
    leader.now += 5
    leader.turn()
    await leader.looked(2)
    await leader.finalizer.close()


async def test_who_failed_for_good_may_have_left_receivers_without_its_end() -> None:
    leader = Leader()
    leader.put("camera", replace(record(Phase.INPROGRESS), worker=assigned(worker("a"))))
    leader.turn()
    await leader.looked(1)
    leader.put("camera", record(Phase.INTERRUPTED, completed=NOW))
    leader.turn()
    leader.done["id-a"] = {given(leader, "id-a").key}
    leader.now += 5
    assert leader.turn() == {}
    await leader.looked(2)
    await leader.finalizer.close()


async def test_receivers_that_are_waited_for_keep_no_log_from_its_end() -> None:
    leader = Leader(worker("a"))
    names = [f"camera-{number}" for number in range(AT_ONCE + 1)]
    for name in names:
        leader.jobs[name] = known(job(name, DONE), told_to("http://a"))
    leader.notes = Notes(
        runs=[NotedRun(namespace="default", uid="gone", run=1)],
        untold=[Untold(namespace="default", uid=name, run=1, epoch=3, worker="instance-gone") for name in names],
    )
    leader.turn()
    await leader.looked(1)
    mine = leader.turn()["id-a"]
    assert len(mine) == AT_ONCE + 1
    assert "gone" in mine
    await leader.finalizer.close()


@pytest.mark.parametrize(("settings", "looks"), [("s2", 2), ("s1", 1)])
async def test_other_receivers_of_a_job_that_is_over_and_lacks_something_are_asked_for_at_once(
    settings: str, looks: int
) -> None:
    leader = Leader()
    status = pack({"conditions": [{"type": "OutputsDelivered", "status": "False"}]})
    for digest in ("s1", settings):
        ended = done_with(told_to("http://a"), digest)
        leader.jobs["camera"] = replace(ended, source=replace(ended.source, packed_status=status))
        leader.turn()
        await leader.looked(1)
    leader.now += 5
    leader.turn()
    await leader.looked(looks)
    await leader.finalizer.close()


@pytest.mark.parametrize(("holds", "looks"), [("False", 2), ("True", 1)])
async def test_who_ends_a_job_that_lacks_something_is_asked_at_once(holds: str, looks: int) -> None:
    leader = Leader()
    leader.put("camera", record(Phase.INPROGRESS))
    leader.turn()
    await leader.looked(1)
    status = pack({"conditions": [{"type": "OutputsDelivered", "status": holds}]})
    ended = known(job("camera", DONE))
    leader.jobs["camera"] = replace(ended, source=replace(ended.source, packed_status=status))
    leader.turn()
    leader.now += 5
    leader.turn()
    await leader.looked(looks)
    await leader.finalizer.close()
