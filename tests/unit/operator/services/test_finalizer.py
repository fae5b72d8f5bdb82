"""Who does what is left to do in archives."""

import asyncio
from dataclasses import replace

from tests.support.domain import NOW, assigned, job, pool, record, snapshot, worker
from tests.unit.kube.helpers import eventually
from tests.unit.operator.services.test_assignments import known
from videofleet_api.finalize import NotedJob, NotedRun, Notes
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Record, Worker
from videofleet_operator.services.finalizer import Finalizer
from videofleet_operator.services.gather import KnownJob

ARCHIVED = pool(archive={"claimName": "results"})


class Leader:
    """Turns by hand. `notes`: what workers answer; None: nothing."""

    def __init__(self, *workers: Worker) -> None:
        self.now = 1000.0
        self.notes: Notes | None = Notes()
        self.asked: list[str] = []
        self.workers = list(workers or (worker("a"), worker("b")))
        self.done: dict[str, set[str]] = {}
        self.changes = 0
        self.jobs: dict[str, KnownJob] = {}
        self.finalizer = Finalizer(
            self._look, lambda uid: self.done.get(uid, set()), self._changed, ["default"], lambda: self.now
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
        """Wait until so many looks were taken in."""
        await eventually(lambda: len(self.asked) == times)
        await asyncio.sleep(0)


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
