"""Where a job goes, and what is said when it goes nowhere."""

from typing import Any

import pytest

from tests.support.domain import job, pool, worker
from videofleet_api.codes import Reason
from videofleet_api.videojob import LabelSelector
from videofleet_operator.domain.matching import selects
from videofleet_operator.domain.model import Job, Pool, Worker
from videofleet_operator.domain.placement import Answer, Capacity, Verdict

NO_POOL = "namespace default has no WorkerPool, and none elsewhere names default in its allowedNamespaces"
"""Pools of strangers are not named to the owner of a job."""


def capacity(pools: list[Pool], workers: list[Worker], **used: int) -> Capacity:
    by_id = {each.id: each for each in workers}
    return Capacity({each.key: each for each in pools}, by_id, {f"id-{name}": slots for name, slots in used.items()})


def chosen(verdict: Verdict) -> str:
    assert verdict.answer is Answer.FITS
    assert verdict.worker is not None
    return verdict.worker.name


def refused(ledger: Capacity, it: Job) -> tuple[Answer, str, str]:
    verdict = ledger.can_add(it)
    assert verdict.why is not None
    return verdict.answer, verdict.why.reason, verdict.why.message


class TestChoice:
    def test_asking_changes_nothing(self) -> None:
        ledger = capacity([pool()], [worker("a", capacity=1)])
        assert [chosen(ledger.can_add(job())) for _ in range(3)] == ["a"] * 3

    @pytest.mark.parametrize(("packing", "order"), [("spread", list("abcabc")), ("binpack", list("aabbcc"))])
    def test_packing(self, packing: str, order: list[str]) -> None:
        ledger = capacity([pool(packing=packing)], [worker(name, capacity=2) for name in "cba"])
        taken = []
        for _ in order:
            verdict = ledger.can_add(job())
            ledger.add(verdict, 1)
            taken.append(chosen(verdict))
        assert taken == order
        assert ledger.can_add(job()).answer is Answer.FULL

    def test_binpack_goes_to_the_fullest_that_has_room(self) -> None:
        ledger = capacity([pool(packing="binpack")], [worker(name, capacity=4) for name in "abc"], a=1, b=2, c=4)
        assert chosen(ledger.can_add(job(slots=2))) == "b"
        assert chosen(ledger.can_add(job(slots=3))) == "a"

    def test_spread_goes_to_the_emptiest_of_all_pools(self) -> None:
        pools = [pool("p"), pool("q")]
        ledger = capacity(pools, [worker("a"), worker("b", "default/q")], a=3, b=2)
        assert chosen(ledger.can_add(job())) == "b"

    def test_a_pool_that_packs_is_filled_first(self) -> None:
        pools = [pool("p"), pool("q", packing="binpack")]
        ledger = capacity(pools, [worker("a"), worker("b", "default/q")], b=15)
        assert chosen(ledger.can_add(job())) == "b"

    def test_the_worker_must_have_the_steps(self) -> None:
        workers = [worker("a"), worker("b", steps=frozenset({"detect", "faces"}))]
        it = job(analytics=[{"steps": [{"model": "faces"}]}])
        assert chosen(capacity([pool()], workers).can_add(it)) == "b"

    def test_an_older_answer_is_not_taken(self) -> None:
        ledger = capacity([pool()], [worker("a", capacity=1)])
        verdict = ledger.can_add(job())
        ledger.add(verdict, 1)
        with pytest.raises(ValueError, match="no longer has"):
            ledger.add(verdict, 1)

    @pytest.mark.parametrize(
        "fields",
        [{"connected": False}, {"leaving": True}, {"instance": None}, {"silent_for": 10.0}],
        ids=lambda fields: next(iter(fields)),
    )
    def test_a_worker_that_takes_no_jobs(self, fields: dict[str, Any]) -> None:
        ledger = capacity([pool()], [worker("a", **fields)])
        assert refused(ledger, job()) == (
            Answer.NO_WORKER,
            Reason.NO_READY_WORKER,
            "none of 1 worker of 1 matching pool is ready",
        )


class TestRefusals:
    def test_full(self) -> None:
        ledger = capacity([pool()], [worker("a"), worker("b")], a=16, b=16)
        assert refused(ledger, job()) == (
            Answer.FULL,
            Reason.WORKERS_FULL,
            "all 2 workers of 1 matching pool are full (32 of 32 slots)",
        )

    def test_no_room_for_so_many_slots(self) -> None:
        ledger = capacity([pool()], [worker("a")], a=14)
        message = "none of 1 worker of 1 matching pool has 3 free slots (14 of 16 are used)"
        assert refused(ledger, job(slots=3)) == (Answer.FULL, Reason.WORKERS_FULL, message)

    def test_a_lowered_capacity_holds_at_once(self) -> None:
        ledger = capacity([pool(capacityPerWorker=2)], [worker("a")], a=2)
        assert ledger.can_add(job()).answer is Answer.FULL

    def test_never(self) -> None:
        answer, reason, message = refused(capacity([pool()], [worker()]), job(slots=17))
        assert (answer, reason) == (Answer.NEVER, Reason.NEVER_FITS)
        assert message.startswith(
            "spec.slots is 17, but no worker of 1 matching pool has more than 16 (pool default/p)"
        )

    def test_no_worker_yet(self) -> None:
        answer, reason, message = refused(capacity([pool()], []), job())
        assert (answer, reason) == (Answer.NO_WORKER, Reason.NO_READY_WORKER)
        assert message == "1 matching pool (default/p) has no worker yet"

    def test_no_model(self) -> None:
        answer, reason, message = refused(capacity([pool()], [worker()]), job(analytics=[{"steps": [{"model": "x"}]}]))
        assert (answer, reason) == (Answer.NO_MODEL, Reason.MODEL_MISSING)
        assert message == "no ready worker of a matching pool has the step x; there are: detect, track"

    def test_no_worker_has_all_steps(self) -> None:
        workers = [worker("a", steps=frozenset({"detect"})), worker("b", steps=frozenset({"track"}))]
        it = job(analytics=[{"steps": [{"model": "detect"}, {"model": "track"}]}])
        assert refused(capacity([pool()], workers), it)[2] == "no worker has all of the steps detect, track"

    @pytest.mark.parametrize(
        ("pools", "fields", "message"),
        [
            ([], {}, NO_POOL),
            ([pool("p", "rival"), pool("p", "rival", allowedNamespaces=["friend"])], {}, NO_POOL),
            (
                [pool("p", "rival"), pool("p", "host", allowedNamespaces=["*"], jobLabels={"x": "y"})],
                {},
                "pool host/p needs job label x=y",
            ),
            ([pool(jobLabels={"site": "berlin"})], {}, "pool default/p needs job label site=berlin"),
            ([pool(allowedNamespaces=["a"])], {}, "pool default/p takes no jobs of namespace default"),
            (
                [pool(labels={"gpu": "t4"})],
                {"workerSelector": {"matchLabels": {"gpu": "h200"}}},
                "pool default/p lacks label gpu=h200",
            ),
            (
                [pool()],
                {"workerSelector": {"matchExpressions": [{"key": "z", "operator": "In", "values": ["a", "b"]}]}},
                "pool default/p lacks label z In (a, b)",
            ),
            (
                [pool(name, jobLabels={"x": "y"}) for name in "abcde"],
                {},
                "pool default/a needs job label x=y; pool default/b needs job label x=y; "
                "pool default/c needs job label x=y; and 2 more",
            ),
        ],
    )
    def test_no_pool(self, pools: list[Pool], fields: dict[str, Any], message: str) -> None:
        answer, reason, told = refused(capacity(pools, [worker()]), job(**fields))
        assert (answer, reason) == (Answer.NO_POOL, Reason.NO_MATCHING_POOL)
        assert told == f"no pool takes this job: {message}"

    @pytest.mark.parametrize(
        ("allowed", "taken"), [([], False), (["other"], True), (["*"], True), (["default"], False)]
    )
    def test_namespaces(self, allowed: list[str], taken: bool) -> None:
        ledger = capacity([pool(allowedNamespaces=allowed)], [worker()])
        assert (ledger.can_add(job(namespace="other")).answer is Answer.FITS) == taken


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ({"operator": "In", "values": ["a", "b"]}, (True, False, False)),
        ({"operator": "NotIn", "values": ["a"]}, (False, True, True)),
        ({"operator": "Exists"}, (True, True, False)),
        ({"operator": "DoesNotExist"}, (False, False, True)),
    ],
    ids=lambda value: value.get("operator") if isinstance(value, dict) else "",
)
def test_selectors_read_as_in_kubernetes(expression: dict[str, Any], matches: tuple[bool, ...]) -> None:
    selector = LabelSelector.model_validate({"matchExpressions": [{"key": "k", **expression}]})
    assert tuple(selects(selector, labels) for labels in ({"k": "a"}, {"k": "c"}, {})) == matches
    assert selects(LabelSelector(), {})
