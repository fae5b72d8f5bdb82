"""What counts as taken before it is written."""

from tests.support.domain import assigned, job, record, snapshot, used_slots, waiting_slots, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.services.gather import with_taken


def test_a_worker_that_was_given_a_job_just_now_is_not_idle() -> None:
    waits = record(Phase.AWAITING, reason=Reason.NO_READY_WORKER)
    before = snapshot([job("new", waits, slots=2)], [worker()])
    given = record(Phase.STARTING, worker=assigned(worker()))
    after = with_taken(before, {"new": given, "gone": given})
    assert (used_slots(before), waiting_slots(before)) == ({}, {"default/p": [2]})
    assert (used_slots(after), waiting_slots(after)) == ({"id-w1": 2}, {"default/p": []})
    assert after.jobs.keys() == {"new"}


def test_a_worker_is_not_idle_before_what_frees_it_is_written() -> None:
    before = snapshot([job("runs", record(Phase.INPROGRESS))], [worker()])
    assert used_slots(with_taken(before, {"runs": record(Phase.COMPLETED)})) == {"id-w1": 1}
