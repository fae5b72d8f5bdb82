"""Whatever happens to a job, in whatever order, its record keeps what must be kept."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.domain import NOW, assigned, worker
from tests.support.domain import job as a_job
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import ASSIGNED, Phase, allowed
from videofleet_api.videojob import Restart, VideoJobStatus
from videofleet_operator.domain import facts
from videofleet_operator.domain.backoff import longest_wait
from videofleet_operator.domain.exclusion import LIMIT
from videofleet_operator.domain.facts import Fact
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Record, Why
from videofleet_operator.domain.records import Context
from videofleet_operator.domain.restore import from_status
from videofleet_operator.domain.status import Shown, to_status

whys = st.builds(Why, st.sampled_from(Reason), st.text(max_size=30))
epochs = st.integers(0, 12)
times = st.none() | st.floats(NOW - 10, NOW + 1000)
codes = st.sampled_from(ErrorCode)
workers = st.sampled_from([assigned(worker(name)) for name in ("w1", "w2")])
some_facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(facts.Disabled),
    st.builds(facts.OutsideSchedule, st.text(max_size=30)),
    st.builds(facts.Enabled),
    st.builds(facts.SpecChanged),
    st.builds(facts.RunOver),
    st.builds(facts.RunKept),
    st.builds(facts.Evicted, whys),
    st.builds(facts.Placed, workers, st.sampled_from(["d1", "d2"])),
    st.builds(facts.Placed, workers, st.sampled_from(["d1", "d2"])),
    st.builds(facts.NoPlace, whys),
    st.builds(facts.Throttled, whys),
    st.builds(facts.NoLicence, whys),
    st.builds(facts.Shed, whys),
    st.builds(facts.MoveBegun, workers),
    st.builds(facts.MoveBegun, workers),
    st.builds(facts.MoveFailed, st.booleans()),
    st.builds(facts.MoveTakesOver),
    st.builds(facts.Superseded, epochs),
    st.builds(facts.Preparing, epochs),
    st.builds(facts.Applied, epochs, st.sampled_from(["s1", "s2"])),
    st.builds(facts.FirstFrame, epochs, st.floats(NOW - 10, NOW + 1000)),
    st.builds(facts.Reconnecting, epochs, st.text(max_size=30)),
    st.builds(facts.Reconnected, epochs),
    st.builds(facts.Ended, epochs, times),
    st.builds(facts.Failed, epochs, codes, st.text(max_size=30), times),
    st.builds(facts.Refused, epochs, codes, st.text(max_size=30)),
    st.builds(facts.WorkerSilent, st.text(max_size=30)),
    st.builds(facts.WorkerGone, st.text(max_size=30)),
    st.builds(facts.WorkerCrashed, st.text(max_size=30)),
    st.builds(facts.WorkerCrashed, st.text(max_size=30)),
    st.builds(facts.Convicted),
    st.builds(facts.Readmitted),
    st.builds(facts.WorkerBack, st.sampled_from(["instance-w1", "instance-w2", "other"]), times),
    st.builds(facts.StartTimedOut, st.text(max_size=30)),
    st.builds(facts.StableRunning),
    st.builds(facts.Trusted),
    st.builds(facts.RetryDue),
    st.builds(facts.ClockWentBack),
)
restarts = st.builds(
    Restart,
    max_attempts=st.none() | st.integers(1, 4),
    delay=st.floats(0.1, 5),
    max_delay=st.floats(5, 300),
    stable_after=st.floats(0, 100),
)
contexts = st.builds(Context, st.just("j1"), st.integers(1, 5), st.booleans(), restarts)
stories = st.lists(st.tuples(some_facts, contexts, st.floats(-50, 400)), max_size=40)


def current(fact: Fact, record: Record) -> Fact:
    """Half of all reports are about the epoch that is running, or stories would never get far."""
    epoch = getattr(fact, "epoch", None)
    if epoch is None or epoch % 2:
        return fact
    meant = record.move.epoch if record.move is not None and epoch % 4 else record.epoch
    values = {name: getattr(fact, name) for name in type(fact).__dataclass_fields__} | {"epoch": meant}
    return type(fact)(**values)


@given(stories)
def test_a_record_keeps_what_must_be_kept(story: list[tuple[Fact, Context, float]]) -> None:
    record, now = Record(), NOW
    for fact, context, pause in story:
        before, now = record, now + pause
        record = advance(before, current(fact, before), context, now)
        check_step(before, record, context, now)
        check_record(record)


def check_step(before: Record, after: Record, context: Context, now: float) -> None:
    assert allowed(before.phase, after.phase)
    moved = before.phase is not after.phase
    assert after.transitions == before.transitions + moved
    assert before.observed_generation <= after.observed_generation
    assert before.run <= after.run <= before.run + 1
    started = after.phase is Phase.STARTING and before.phase not in ASSIGNED
    assert after.epoch >= before.epoch + started
    check_epochs(before, after)
    if moved:
        assert after.since == now
        longest = longest_wait(after, context.restart)
        assert after.next_retry is None or now <= after.next_retry <= now + longest + 1e-6


def check_epochs(before: Record, after: Record) -> None:
    """An epoch is given out once: above all before it, or it is that of the move which now is the job's."""
    assert after.spent >= before.spent
    new = after.epoch > before.epoch
    if new and before.move is not None and after.epoch == before.move.epoch:
        assert after.worker == before.move.worker
        assert after.phase in (Phase.STARTING, Phase.INPROGRESS)
    elif new:
        assert after.epoch > before.spent
        assert after.phase is Phase.STARTING
    if new and after.phase is Phase.STARTING:
        assert after.first_frame is None
    if after.move is not None and after.move != before.move:
        assert before.move is None
        assert before.spent < after.move.epoch == after.spent
        assert after.move.epoch > before.epoch


def check_record(record: Record) -> None:
    assert record.move is None or record.phase in (Phase.INPROGRESS, Phase.DISCONNECTED)
    assert record.move is None or record.move.epoch == record.spent > record.epoch
    assert (record.worker is not None) == (record.phase in ASSIGNED)
    assert not record.finished or record.phase in (Phase.COMPLETED, Phase.INTERRUPTED)
    assert not record.finished or record.next_retry is None
    assert len(record.excluded) == len({each.id for each in record.excluded}) <= LIMIT
    if record.phase in ASSIGNED:
        assert record.epoch >= 1
        assert record.run >= 1
        assert record.next_retry is None
        assert record.spec_digest is not None
    if record.phase is Phase.INPROGRESS:
        assert record.first_frame is not None


@given(stories)
def test_nothing_is_forgotten_in_status(story: list[tuple[Fact, Context, float]]) -> None:
    record, now = Record(), NOW
    for fact, context, pause in story:
        now = round(now + pause, 6)
        record = advance(record, current(fact, record), context, now)
    wire = to_status(a_job(), record, Shown(), None, now)
    read = from_status(wire)
    assert to_status(a_job(), read, Shown(), wire, now + 5) == wire
    assert _kept(read) == _kept(record)


def _kept(record: Record) -> tuple[object, ...]:
    counters = record.epoch, record.next_epoch, record.run, record.transitions, record.attempt, record.suspicion
    return record.phase, counters, record.excluded, record.worker, record.move


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_a_status_of_another_shape_is_none(garbage: object) -> None:
    assert from_status(garbage) == Record()


fields = st.sampled_from(sorted(field.alias or name for name, field in VideoJobStatus.model_fields.items()))
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.just({"a": 1}),
    st.sampled_from(Phase),
)


@given(st.dictionaries(fields | st.text(max_size=5), values), contexts, some_facts)
def test_a_garbled_status_is_lived_with(garbage: dict[str, object], context: Context, fact: Fact) -> None:
    record = from_status(garbage)
    assert (record.worker is not None) == (record.phase in ASSIGNED)
    advance(record, current(fact, record), context, NOW)
