"""Plans over arbitrary clusters keep within licence and capacity, come to rest, and do not depend on any order."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.domain import NOW, applied, job, pool, report, settled, snapshot, worker
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import ASSIGNED, Phase, allowed
from videofleet_api.protocol import JobState
from videofleet_operator.domain.licence import holds_slot
from videofleet_operator.domain.model import ALWAYS, Assigned, Job, Licence, Opening, Snapshot, Why, Worker
from videofleet_operator.domain.placement import ready
from videofleet_operator.domain.planner import plan

WORKERS = ("w1", "w2", "w3")
NIGHT = Opening(False, NOW, None)


@st.composite
def jobs(draw: st.DrawFn, uid: str) -> Any:
    selector = draw(st.sampled_from([{}, {"matchLabels": {"gpu": "yes"}}]))
    return job(
        uid,
        created=NOW - draw(st.integers(0, 3)),
        priority=draw(st.integers(0, 1)),
        slots=draw(st.sampled_from([1, 1, 1, 2, 5])),
        singlePass=draw(st.booleans()),
        enabled=draw(st.sampled_from([True, True, True, False])),
        labels=draw(st.sampled_from([{}, {"site": "berlin"}])),
        analytics=[{"steps": [{"model": draw(st.sampled_from(["detect", "detect", "faces"]))}]}],
        workerSelector=selector,
    )


@st.composite
def clusters(draw: st.DrawFn) -> Snapshot:
    uids = [f"j{n}" for n in range(draw(st.integers(0, 12)))]
    pools = [
        pool("p", packing=draw(st.sampled_from(["spread", "binpack"])), capacityPerWorker=4),
        pool("q", labels={"gpu": "yes"}, jobLabels=draw(st.sampled_from([{}, {"site": "berlin"}]))),
    ]
    return snapshot(
        [draw(jobs(uid)) for uid in uids],
        [draw(some_worker(name)) for name in WORKERS],
        pools,
        Licence(draw(st.none() | st.integers(0, 8))),
    )


@st.composite
def some_worker(draw: st.DrawFn, name: str) -> Worker:
    return worker(
        name,
        of=draw(st.sampled_from(["default/p", "default/q"])),
        capacity=draw(st.integers(1, 4)),
        connected=draw(st.sampled_from([True, True, True, False])),
        leaving=draw(st.sampled_from([False, False, True])),
        drain=draw(st.sampled_from(["", "", "", "is to be emptied"])),
        cordoned=draw(st.sampled_from([False, False, True])),
        outdated=draw(st.booleans()),
        silent_for=draw(st.sampled_from([0.0, 0.0, 12.0])),
        instance=draw(st.sampled_from([f"instance-{name}", f"instance-{name}", "restarted"])),
        steps=frozenset(draw(st.sampled_from([("detect", "track"), ("detect", "faces")]))),
    )


@st.composite
def happenings(draw: st.DrawFn, now: Snapshot) -> Snapshot:
    """Some time later: workers are others than before, report what they like, jobs are edited, the licence changes."""
    changed = {each.id: each for each in (draw(some_worker(name)) for name in draw(st.sets(st.sampled_from(WORKERS))))}
    workers = {key: replace(each, reports=draw(reports(now, key))) for key, each in {**now.workers, **changed}.items()}
    for gone in draw(st.sets(st.sampled_from([f"id-{name}" for name in WORKERS]), max_size=1)):
        workers.pop(gone, None)
    edited = {uid: replace(each, **draw(edits(each.generation))) for uid, each in now.jobs.items()}
    limit = draw(st.sampled_from([now.licence, Licence(2), Licence(5, Why(Reason.LICENCE_INVALID, "expired"))]))
    later = now.now + draw(st.sampled_from([0.0, 0.5, 5.0, 40.0, 200.0, -100.0]))
    return replace(now, jobs=edited, workers=workers, licence=limit, now=later)


def edits(generation: int) -> st.SearchStrategy[dict[str, Any]]:
    changed = {"digest": "d2", "generation": generation + 1}
    return st.sampled_from([{}, {}, {}, changed, {"digest": "d1"}, {"opening": NIGHT}, {"opening": ALWAYS}])


@st.composite
def reports(draw: st.DrawFn, now: Snapshot, worker_id: str) -> dict[str, Any]:
    mine = [each for each in now.jobs.values() if worker_id in {on.id for on in each.record.held}]
    return {each.uid: draw(some_report(each.uid, epoch_on(each, worker_id))) for each in mine if draw(st.booleans())}


def epoch_on(job: Job, worker_id: str) -> int:
    """The epoch in which a worker has a job."""
    move = job.record.move
    return move.epoch if move is not None and move.worker.id == worker_id else job.record.epoch


def some_report(uid: str, epoch: int) -> st.SearchStrategy[Any]:
    return st.builds(
        report,
        st.just(uid),
        st.sampled_from([epoch, epoch, epoch - 1]),
        st.sampled_from(JobState),
        first_frame=st.booleans(),
        code=st.none() | st.sampled_from(ErrorCode),
    )


@given(st.data())
def test_a_fleet_through_many_plans(data: st.DataObject) -> None:
    now = data.draw(clusters())
    for _ in range(data.draw(st.integers(1, 6))):
        made = plan(now)
        after = applied(now, made.records)
        check_edges(now, after)
        check_licence(now, after)
        check_capacity(now, after)
        assert made.wake is None or made.wake > now.now
        now = data.draw(happenings(after))


@given(st.data())
def test_it_comes_to_rest(data: st.DataObject) -> None:
    now = data.draw(clusters())
    for _ in range(data.draw(st.integers(0, 3))):
        now = data.draw(happenings(applied(now, plan(now).records)))
    quiet, _ = settled(now)
    assert plan(quiet).records == {}


@given(clusters(), st.randoms(use_true_random=False))
def test_the_order_of_jobs_and_workers_does_not_matter(now: Snapshot, rng: random.Random) -> None:
    uids, ids, keys = list(now.jobs), list(now.workers), list(now.pools)
    for each in (uids, ids, keys):
        rng.shuffle(each)
    shuffled = replace(
        now,
        jobs={uid: now.jobs[uid] for uid in uids},
        workers={key: now.workers[key] for key in ids},
        pools={key: now.pools[key] for key in keys},
    )
    one, other = plan(now), plan(shuffled)
    assert one.records == other.records
    assert list(one.waiting.items()) == list(other.waiting.items())


@given(clusters())
def test_every_job_that_is_not_running_says_why(now: Snapshot) -> None:
    quiet, _ = settled(now)
    waiting = plan(quiet).waiting
    for each in quiet.jobs.values():
        if each.record.phase in (Phase.AWAITING, Phase.TOO_MANY_CAMERAS):
            assert each.record.reason is waiting[each.uid].reason
            assert each.record.message


def check_edges(before: Snapshot, after: Snapshot) -> None:
    for uid, each in after.jobs.items():
        old, new = before.jobs[uid].record, each.record
        assert allowed(old.phase, new.phase)
        assert new.transitions == old.transitions + (new.phase is not old.phase)
        assert new.epoch >= old.epoch
        assert new.next_epoch >= old.next_epoch
        assert new.observed_generation >= max(old.observed_generation, each.generation)


def check_licence(before: Snapshot, after: Snapshot) -> None:
    """Started streams and all that held a slot before stay within the limit, whichever writes come first.

    A stream that goes on on another worker, where it was being moved, has not started: it counts once.
    """
    limit = before.licence
    started = [uid for uid in after.jobs if starts(before, after, uid)]
    if not started:
        return
    assert limit.problem is None
    held = {uid for uid in after.jobs if holds_slot(before.jobs[uid], before.jobs[uid].record, limit)}
    assert limit.limit is None or len(held | set(started)) <= limit.limit


def check_capacity(before: Snapshot, after: Snapshot) -> None:
    """Nothing is put where no room is left, both workers of a move and all that is given back counted."""
    load: Counter[str] = Counter()
    for uid, each in after.jobs.items():
        for on in held(each) | held(before.jobs[uid]):
            known = before.workers.get(on.id)
            if known is not None and on.instance == known.instance:
                load[on.id] += each.spec.slots
    for uid, each in after.jobs.items():
        for on in held(each) - held(before.jobs[uid]):
            target = before.workers[on.id]
            assert ready(target)
            assert load[on.id] <= min(target.capacity, before.pools[target.pool].spec.capacity_per_worker)


def held(job: Job) -> set[Assigned]:
    """The workers on which a job takes room."""
    return set(job.record.held) if job.record.phase in ASSIGNED else set()


def starts(before: Snapshot, after: Snapshot, uid: str) -> bool:
    old, new = before.jobs[uid].record, after.jobs[uid].record
    moved = old.move is not None and new.epoch == old.move.epoch
    return new.epoch > old.epoch and not moved
