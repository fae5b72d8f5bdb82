"""Every job that does not run says why or when, and what is said is what the placement does."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_planner import clusters, happenings
from tests.support.domain import applied, settled
from videofleet_api.phases import RUNNING, Phase
from videofleet_operator.domain.backoff import exhausted
from videofleet_operator.domain.exclusion import in_force
from videofleet_operator.domain.explain import Explainer
from videofleet_operator.domain.licence import holds_slot, refusal
from videofleet_operator.domain.model import Job, Snapshot
from videofleet_operator.domain.observation import next_time
from videofleet_operator.domain.placement import Answer, Capacity
from videofleet_operator.domain.planner import plan, used_capacity
from videofleet_operator.domain.shares import Shares
from videofleet_operator.domain.shelf import Terms
from videofleet_operator.domain.suspicion import alone


def some_time_later(data: st.DataObject) -> Snapshot:
    now = data.draw(clusters())
    for _ in range(data.draw(st.integers(0, 3))):
        now = data.draw(happenings(applied(now, plan(now).records)))
    return settled(now)[0]


@given(st.data())
def test_who_does_not_run_knows_why_or_when(data: st.DataObject) -> None:
    now = some_time_later(data)
    waiting = plan(now).waiting
    for each in now.jobs.values():
        record = each.record
        over = record.finished or exhausted(record, each.spec.restart) or record.phase is Phase.DISABLED
        if record.phase in RUNNING or over:
            continue
        worker = None if record.worker is None else now.workers.get(record.worker.id)
        assert each.uid in waiting or next_time(each, record, worker, now.now) is not None, record


@given(st.data())
def test_an_explanation_agrees_with_the_placement(data: st.DataObject) -> None:
    now = some_time_later(data)
    made = plan(now)
    explainer = Explainer(now, made.waiting)
    ledger = Capacity(now.pools, now.workers, used_capacity(now), Shares(now.pools, now.jobs.values()))
    for uid in made.waiting:
        job = now.jobs[uid]
        told = explainer.explain(job)
        free = [each for each in told.pools if not each.refusal and sum(each.held_back.values()) < each.workers]
        avoid = frozenset(each.id for each in in_force(job.record.excluded, now.workers))
        assert bool(free) is (ledger.can_add(job, Terms(avoid, alone(job.record))).answer is Answer.FITS)
        assert told.summary
        assert told.causes[0].reason == made.waiting[uid].reason
        own = holds_slot(job, job.record, now.licence)
        blocked = refusal(now.licence, job, explainer.licence.used - own)
        assert (blocked is not None) is any(each.reason.startswith("Licence") for each in told.causes)


@given(st.data())
def test_places_in_the_queue_are_counted_from_one(data: st.DataObject) -> None:
    now = some_time_later(data)
    explainer = Explainer(now, plan(now).waiting)
    places = [place for job in now.jobs.values() if (place := explainer.explain(job).position) is not None]
    assert Counter(places) == Counter(range(1, len(explainer.positions) + 1))
    before: Job | None = None
    for uid in explainer.positions:
        job = now.jobs[uid]
        assert before is None or before.spec.priority >= job.spec.priority
        before = job
