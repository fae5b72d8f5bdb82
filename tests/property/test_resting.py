"""A plan that passes over jobs that rest is the plan from scratch."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_planner import clusters, edits, happenings
from tests.support.domain import NOW, applied, job, record, report, snapshot, worker
from videofleet_api.phases import Phase
from videofleet_api.workerpool import Isolation
from videofleet_operator.domain.model import Pool, Snapshot, Worker
from videofleet_operator.domain.planner import plan, plan_after
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.resting import SCRATCH, split


def kept(before: Snapshot, after: Snapshot) -> Snapshot:
    """As the caches keep it: what is equal to what was there before is the very same object."""
    jobs = {uid: _old(before.jobs.get(uid), each) for uid, each in after.jobs.items()}
    workers = {key: _with_old_reports(before.workers.get(key), each) for key, each in after.workers.items()}
    return replace(after, jobs=jobs, workers=workers)


def _old(before: Any, after: Any) -> Any:
    return before if before == after else after


def _with_old_reports(before: Worker | None, after: Worker) -> Worker:
    if before is None:
        return after
    return replace(after, reports={uid: _old(before.reports.get(uid), each) for uid, each in after.reports.items()})


def edited_pool(before: Pool) -> st.SearchStrategy[Pool]:
    changes = st.sampled_from([{"capacity_per_worker": 1}, {"isolation": Isolation.POD}, {}])
    return st.builds(lambda change: replace(before, spec=before.spec.model_copy(update=change)), changes)


@st.composite
def small_change(draw: st.DrawFn, now: Snapshot) -> Snapshot:
    """One thing happens, everything else stays."""
    later = replace(now, now=now.now + draw(st.sampled_from([0.0, 1.0, 30.0, 70.0, 2000.0, -50.0])))
    edited: bool = draw(st.booleans())
    if now.jobs and edited:
        uid = draw(st.sampled_from(sorted(now.jobs)))
        changes = draw(st.none() | edits(now.jobs[uid].generation))
        others = {key: each for key, each in now.jobs.items() if key != uid}
        return replace(later, jobs=others if changes is None else others | {uid: replace(now.jobs[uid], **changes)})
    if draw(st.integers(0, 3)) == 0:
        return replace(later, pools={key: draw(edited_pool(each)) for key, each in now.pools.items()})
    if not now.workers or not draw(st.booleans()):
        return later
    name = draw(st.sampled_from(sorted(now.workers)))
    silent_for = draw(st.sampled_from([0.1, 9.0, 12.0]))
    states: list[dict[str, Any]] = [
        {"silent_for": silent_for},
        {"connected": False},
        {"leaving": True},
        {"capacity": 1},
    ]
    changed = draw(st.sampled_from(states))
    return replace(later, workers={**later.workers, name: replace(later.workers[name], **changed)})


@st.composite
def running(draw: st.DrawFn) -> Snapshot:
    """Workers with streams that run, most of them as they should."""
    names = ("w1", "w2")
    jobs, reports = [], dict[str, dict[str, Report]]()
    for number in range(draw(st.integers(1, 6))):
        on, uid = draw(st.sampled_from(names)), f"j{number}"
        attempt, suspicion = draw(st.sampled_from([(0, 0), (0, 0), (2, 0), (0, 1)]))
        held = record(Phase.INPROGRESS, attempt=attempt, suspicion=suspicion)
        assert held.worker is not None
        at = replace(held.worker, name=on, id=f"id-{on}", instance=f"instance-{on}")
        jobs.append(job(uid, replace(held, worker=at), slots=draw(st.sampled_from([1, 2]))))
        reports.setdefault(f"id-{on}", {})[uid] = report(uid, first_frame=True, first_frame_time=NOW - 9)
    workers = [worker(name, reports=reports.get(f"id-{name}", {})) for name in names]
    return snapshot(jobs, workers)


@given(st.data())
def test_a_plan_with_what_the_last_one_left_is_the_plan_from_scratch(data: st.DataObject) -> None:
    now = data.draw(st.one_of(clusters(), running()))
    left = SCRATCH
    for _ in range(data.draw(st.integers(1, 8))):
        made, left = plan_after(now, left)
        assert made == plan(now)
        after = applied(now, made.records)
        now = kept(now, data.draw(st.one_of(small_change(after), small_change(after), happenings(after))))


@given(running())
def test_streams_that_run_rest(now: Snapshot) -> None:
    _, left = plan_after(now, SCRATCH)
    later = replace(now, now=now.now + 1)
    running = {uid for uid, each in now.jobs.items() if each.record.phase is Phase.INPROGRESS}
    assert {uid for uid in now.jobs if left.rests(uid)} == running
    assert not running & split(later, left).awake.keys(), "nobody looks at them again"


@given(st.data())
def test_what_is_carried_on_is_what_would_be_found_from_scratch(data: st.DataObject) -> None:
    now = data.draw(running())
    left = SCRATCH
    for _ in range(data.draw(st.integers(1, 8))):
        made, left = plan_after(now, left)
        _, fresh = plan_after(now, SCRATCH)
        assert (left.used, left.due, left.restless) == (fresh.used, fresh.due, fresh.restless)
        now = kept(now, data.draw(small_change(applied(now, made.records))))


def test_an_earlier_time_wakes_everybody() -> None:
    now = snapshot([job("j1", record(Phase.INPROGRESS))], [worker(reports={"j1": report(first_frame=True)})])
    _, left = plan_after(now, SCRATCH)
    assert left.rests("j1")
    early = replace(now, now=now.now - 3600)
    assert plan_after(early, left)[0] == plan(early)
    assert plan(early).records
