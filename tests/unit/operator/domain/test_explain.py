"""What is said of a job that waits: counts, causes, its place in the queue, and nothing that is not its owner's."""

from typing import Any

import pytest

from tests.support.domain import NOW, assigned, job, pool, record, snapshot, worker
from videofleet_api.codes import Reason
from videofleet_api.explain import Explanation
from videofleet_api.phases import Phase
from videofleet_operator.domain.explain import Explainer
from videofleet_operator.domain.model import Excluded, Job, Licence, Pool, Snapshot, Why, Worker
from videofleet_operator.domain.planner import plan


def running(uid: str, on: Worker, **fields: Any) -> Job:
    return job(uid, record(Phase.INPROGRESS, worker=assigned(on)), **fields)


def explainer(of: Snapshot) -> Explainer:
    return Explainer(of, plan(of).waiting)


def explained(of: Snapshot, uid: str = "new") -> Explanation:
    return explainer(of).explain(of.jobs[uid])


def test_everything_that_holds_a_job_back_is_counted() -> None:
    full = [worker(name, capacity=1) for name in ("a", "b")]
    others = [running(each.name, each) for each in full]
    waiting = [job(f"w{n}", created=NOW - 50 - n, workerSelector={"matchLabels": {"gpu": "t4"}}) for n in range(2)]
    new = job("new", workerSelector={"matchLabels": {"gpu": "t4"}}, created=NOW - 1)
    pools = [pool(labels={"gpu": "t4"}, capacityPerWorker=1), pool("q", labels={"gpu": "h200"})]
    told = explained(snapshot([*others, *waiting, new], full, pools, Licence(2)))
    assert told.summary == "2 workers full, 1 pool lacks label gpu=t4, licence 2 of 2 used; position 3 of 3"
    assert [(each.reason, each.count) for each in told.causes] == [
        ("WorkersFull", 2),
        ("NoMatchingPool", 1),
        ("LicenceExhausted", 1),
    ]
    assert [(each.pool, each.refusal, each.workers, each.held_back) for each in told.pools] == [
        ("default/p", None, 2, {"full": 2}),
        ("default/q", "lacks label gpu=t4", 0, {}),
    ]
    assert (told.pools[0].slots_used, told.pools[0].slots_total) == (2, 2)
    assert (told.licence.used, told.licence.limit) == (2, 2)


CASES: list[tuple[str, list[Pool], list[Worker], dict[str, Any], Licence | None, str]] = [
    ("no pool at all", [], [], {}, None, "no pool for namespace default"),
    ("two pools ask for a label", [pool(n, jobLabels={"x": "y"}) for n in "pq"], [], {}, None,
     "2 pools need job label x=y"),
    ("a pool without workers", [pool()], [], {}, None, "1 pool without workers; position 1 of 1"),
    ("one is not connected", [pool()], [worker(connected=False)], {}, None, "1 worker not ready; position 1 of 1"),
    ("one is drained", [pool()], [worker(drain="is being drained")], {}, None, "1 worker draining; position 1 of 1"),
    ("one is cordoned", [pool()], [worker(cordoned=True)], {}, None, "1 worker cordoned; position 1 of 1"),
    ("too large", [pool(capacityPerWorker=4)], [worker()], {"slots": 5}, None,
     "1 pool has no worker with more than 4 slots"),
    ("no room for two", [pool(capacityPerWorker=2)], [worker(capacity=1)], {"slots": 2}, None,
     "1 worker full; position 1 of 1"),
    ("a model is missing", [pool()], [worker()], {"analytics": [{"steps": [{"model": "faces"}]}]}, None,
     "1 worker without faces"),
    ("a Secret is missing", [pool()], [worker()], {"problem": Why(Reason.SECRET_MISSING, "no Secret x")}, None,
     "no Secret x"),
    ("the licence has ended", [pool()], [worker()], {}, Licence(5, Why(Reason.LICENCE_INVALID, "it expired")),
     "it expired; position 1 of 1"),
]  # fmt: skip


@pytest.mark.parametrize(("pools", "workers", "fields", "licence", "summary"), [c[1:] for c in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_summaries(
    pools: list[Pool], workers: list[Worker], fields: dict[str, Any], licence: Licence | None, summary: str
) -> None:
    assert explained(snapshot([job("new", **fields)], workers, pools, licence)).summary == summary


def test_pools_of_strangers_are_not_told() -> None:
    pools = [pool("own"), pool("host", "b", allowedNamespaces=["*"]), pool("rival", "c")]
    told = explained(snapshot([job("new")], [], pools))
    assert [each.pool for each in told.pools] == ["b/host", "default/own"]
    assert "rival" not in told.model_dump_json()


def test_other_jobs_are_not_told() -> None:
    busy = worker(capacity=1)
    told = explained(snapshot([running("secret-camera", busy, namespace="rich"), job("new")], [busy]))
    assert told.summary == "1 worker full; position 1 of 1"
    assert "secret-camera" not in told.model_dump_json()


def test_the_queue_is_in_the_order_of_starting_and_of_the_namespaces_that_are_asked_for() -> None:
    jobs = [job("late", created=NOW - 1), job("early"), job("urgent", priority=5), job("theirs", namespace="b")]
    of = snapshot([*jobs, job("lost", workerSelector={"matchLabels": {"x": "y"}})], [])
    queue = explainer(of).queue(frozenset({"default"}))
    assert [(each.name, each.position) for each in queue.jobs] == [
        ("urgent", 1),
        ("early", 2),
        ("lost", None),
        ("late", 3),
    ]
    assert queue.length == 3


def test_a_job_that_runs_waits_for_nothing() -> None:
    busy = worker()
    told = explained(snapshot([running("new", busy)], [busy]))
    assert (told.waiting, told.causes, told.position) == (False, [], None)
    assert told.summary == "does not wait for room: INPROGRESS"


def test_a_share_that_is_used_up() -> None:
    busy = worker()
    shared = pool(namespaceShares=[{"namespace": "default", "max": 1}])
    told = explained(snapshot([running("a", busy), job("new")], [busy], [shared]))
    assert told.summary == (
        "namespace default holds 1 of the 1 slots that pool default/p gives it at most; position 1 of 1"
    )
    assert told.pools[0].refusal is not None


def test_workers_that_failed_the_job() -> None:
    workers = [worker("a"), worker("b", capacity=1)]
    blamed = record(Phase.AWAITING, excluded=(Excluded("a", "id-a", "instance-a"),))
    told = explained(snapshot([running("x", workers[1]), job("new", blamed)], workers))
    assert {each.reason: each.message for each in told.causes} == {
        "WorkersExcluded": "1 worker passed over after a failure there",
        "WorkersFull": "1 worker full",
    }


def test_what_only_the_plan_knows_comes_first() -> None:
    it = job("new")
    made = Explainer(snapshot([it], [worker()]), {"new": Why(Reason.PENDING, "reading Secret x")})
    assert [each.message for each in made.causes(it)] == ["reading Secret x"]
