"""Laws of shares and preemption over arbitrary clusters."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.domain import NOW, applied, assigned, job, pool, record, snapshot, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import ASSIGNED, RUNNING, Phase
from videofleet_operator.domain.model import Job, Licence, Snapshot
from videofleet_operator.domain.placement import Answer, Capacity
from videofleet_operator.domain.planner import plan
from videofleet_operator.domain.shares import Shares

NAMESPACES = ("a", "b", "c")
WORKERS = [worker(name, capacity=capacity) for name, capacity in (("w1", 3), ("w2", 2), ("w3", 4))]
POOL = "default/p"


@st.composite
def jobs(draw: st.DrawFn, uid: str, slots: st.SearchStrategy[int]) -> Job:
    made = job(
        uid,
        namespace=draw(st.sampled_from(NAMESPACES)),
        created=NOW - draw(st.integers(0, 5)),
        priority=draw(st.integers(0, 3)),
        slots=draw(slots),
    )
    if draw(st.booleans()):
        on, since = draw(st.sampled_from(WORKERS)), NOW - draw(st.integers(1, 9))
        return replace(made, record=record(Phase.INPROGRESS, worker=assigned(on), first_frame=since, since=since))
    return made


@st.composite
def clusters(draw: st.DrawFn, slots: st.SearchStrategy[int], preemption: str = "lower") -> Snapshot:
    """What runs is within the capacity; the licence may be full or over-full."""
    drawn = [draw(jobs(f"j{n}", slots)) for n in range(draw(st.integers(0, 14)))]
    free = {each.id: each.capacity for each in WORKERS}
    fitting = []
    for each in drawn:
        held = each.record.worker
        if held is not None and free[held.id] < each.spec.slots:
            continue
        if held is not None:
            free[held.id] -= each.spec.slots
        fitting.append(each)
    entries = [
        {
            "namespace": name,
            "weight": draw(st.integers(1, 3)),
            **draw(st.sampled_from([{}, {}, {"max": 2}, {"max": 4}])),
        }
        for name in sorted(draw(st.sets(st.sampled_from(NAMESPACES))))
    ]
    of = pool(preemption=preemption, allowedNamespaces=["*"], namespaceShares=entries)
    return snapshot(fitting, WORKERS, [of], Licence(draw(st.none() | st.integers(0, 10))))


ANY_SLOTS, ONE_SLOT = st.sampled_from([1, 1, 2, 3]), st.just(1)


def value(of: Snapshot) -> list[int]:
    """Slots in use by priority, the highest first: the larger list is worth more."""
    slots = Counter[int]()
    for each in of.jobs.values():
        if each.record.phase in ASSIGNED:
            slots[each.spec.priority] += each.spec.slots
    return [slots[priority] for priority in range(3, -1, -1)]


def preempted(before: Snapshot, after: Snapshot) -> list[Job]:
    return [
        each
        for uid, each in after.jobs.items()
        if each.record.reason is Reason.PREEMPTED and before.jobs[uid].record.phase in RUNNING
    ]


def at_rest(now: Snapshot) -> tuple[Snapshot, list[tuple[Snapshot, Snapshot]]]:
    """The snapshot once nothing more is written, and every step until then. A second passes between plans."""
    steps = []
    for _ in range(120):
        made = plan(now)
        after = applied(now, made.records, after=1)
        if not made.records:
            return now, steps
        steps.append((now, after))
        now = after
    raise AssertionError(f"no end of it: {[value(after) for _, after in steps[-10:]]}")


@given(clusters(ANY_SLOTS))
def test_preemption_ends_and_what_runs_is_worth_more_for_it(now: Snapshot) -> None:
    limit = now.licence.limit
    shedding = limit is not None and sum(each.record.phase in ASSIGNED for each in now.jobs.values()) > limit
    quiet, _ = at_rest(now)
    if not shedding:
        assert value(quiet) >= value(now)


@given(clusters(ANY_SLOTS))
def test_only_for_a_higher_priority_and_only_for_one_job_at_a_time(now: Snapshot) -> None:
    for before, after in at_rest(now)[1]:
        victims = preempted(before, after)
        if not victims:
            continue
        waiting = [each for each in after.jobs.values() if each.record.phase not in ASSIGNED and each not in victims]
        assert max(each.spec.priority for each in waiting) > max(each.spec.priority for each in victims)
        needed = max(each.spec.slots for each in waiting)
        assert len(victims) <= needed, "each of them takes a slot at least"


@given(clusters(ANY_SLOTS))
def test_whose_place_was_taken_starts_only_where_the_other_has_started(now: Snapshot) -> None:
    """No ping-pong: what was preempted never runs while something more important waits that would fit in its place."""
    quiet, steps = at_rest(now)
    if not any(preempted(before, after) for before, after in steps):
        return
    refused = [each for each in quiet.jobs.values() if each.record.phase not in ASSIGNED]
    shares = Shares(quiet.pools, quiet.jobs.values())
    for each in refused:
        alike = [
            other
            for other in quiet.jobs.values()
            if other.record.worker is not None
            and (other.spec.slots, other.namespace) == (each.spec.slots, each.namespace)
            # Of a namespace that holds more than its most already, nothing takes the place of anything.
            and shares.without([other]).refusal(other.record.worker.pool, each) is None
        ]
        assert all(other.spec.priority >= each.spec.priority for other in alike)


@given(clusters(ANY_SLOTS, preemption="never"))
def test_without_preemption_nothing_that_runs_gives_way_for_a_share(now: Snapshot) -> None:
    quiet, steps = at_rest(now)
    assert not any(preempted(before, after) for before, after in steps)
    if now.licence.limit is None:
        assert all(each.record.phase in ASSIGNED for uid, each in quiet.jobs.items() if now.jobs[uid].record.worker)


@given(clusters(ANY_SLOTS, preemption="never"))
def test_no_slot_stays_free_that_somebody_may_have(now: Snapshot) -> None:
    quiet, _ = at_rest(replace(now, licence=Licence()))
    used = Counter[str]()
    for each in quiet.jobs.values():
        if each.record.worker is not None:
            used[each.record.worker.id] += each.spec.slots
    capacity = Capacity(quiet.pools, quiet.workers, used, Shares(quiet.pools, quiet.jobs.values()))
    for each in quiet.jobs.values():
        if each.record.phase is Phase.AWAITING:
            assert capacity.can_add(each).answer is not Answer.FITS


@given(clusters(ANY_SLOTS))
def test_no_start_exceeds_what_a_namespace_may_have(now: Snapshot) -> None:
    for before, after in at_rest(now)[1]:
        most = {share.namespace: share.max for share in before.pools[POOL].spec.namespace_shares}
        held, started = Counter[str](), set()
        for uid, each in after.jobs.items():
            if each.record.phase in ASSIGNED:
                held[each.namespace] += each.spec.slots
                if before.jobs[uid].record.phase not in ASSIGNED:
                    started.add(each.namespace)
        for namespace in started:
            limit = most.get(namespace)
            assert limit is None or held[namespace] <= limit


@given(clusters(ONE_SLOT, preemption="never"))
def test_no_namespace_below_its_share_waits_while_another_gets_more(now: Snapshot) -> None:
    """Nobody envies: at equal priority, what started last would not have been due to any that waits."""
    now = replace(now, licence=Licence())
    weights = {share.namespace: share.weight for share in now.pools[POOL].spec.namespace_shares}
    if not weights:
        return
    after = applied(now, plan(now).records)
    used = Counter(each.namespace for each in after.jobs.values() if each.record.phase in ASSIGNED)
    started = [each for uid, each in after.jobs.items() if each.record.epoch > now.jobs[uid].record.epoch]
    envious = [each for each in after.jobs.values() if each.record.reason is Reason.WORKERS_FULL]
    for lucky in started:
        for other in envious:
            if lucky.spec.priority > other.spec.priority or lucky.namespace == other.namespace:
                continue
            before_it = (used[lucky.namespace] - 1) / weights.get(lucky.namespace, 1)
            assert before_it <= used[other.namespace] / weights.get(other.namespace, 1)


@given(st.data())
def test_nobody_starves(data: st.DataObject) -> None:
    """However places become free, a namespace that keeps asking holds its share in the end, up to one slot."""
    weights = {name: data.draw(st.integers(1, 3)) for name in ("a", "b")}
    of = pool(allowedNamespaces=["*"], namespaceShares=[{"namespace": n, "weight": w} for n, w in weights.items()])
    crowd = [
        job(f"{name}{number}", namespace=name, created=NOW - (100 if name == "a" else 1), singlePass=True)
        for name in weights
        for number in range(30)
    ]
    one = worker(capacity=6)
    now = snapshot(crowd, [one], [of])
    for _ in range(12):
        now, _ = at_rest(now)
        busy = sorted(uid for uid, each in now.jobs.items() if each.record.phase in ASSIGNED)
        gone = data.draw(st.sampled_from(busy))
        now = replace(now, jobs={uid: each for uid, each in now.jobs.items() if uid != gone})
    now, _ = at_rest(now)
    held = Counter(each.namespace for each in now.jobs.values() if each.record.phase in ASSIGNED)
    for name, weight in weights.items():
        assert held[name] >= 6 * weight / sum(weights.values()) - 1
