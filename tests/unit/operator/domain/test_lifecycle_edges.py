"""All 100 pairs of phases: each edge can be taken, and nothing takes any other."""

from itertools import product

import pytest

from tests.support.domain import NOW, assigned, context, record, worker
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import EDGES, Phase, allowed
from videofleet_operator.domain import facts
from videofleet_operator.domain.facts import Fact
from videofleet_operator.domain.lifecycle import advance
from videofleet_operator.domain.model import Move, Record, Why
from videofleet_operator.domain.records import Context

WHY = Why(Reason.PENDING, "a reason")
EPOCHS = (2, 3, 4)
MOVE = Move(assigned(worker("w2")), 4, NOW - 1)
CODES = (ErrorCode.NETWORK, ErrorCode.CODEC)
SOME_FACTS: list[Fact] = [
    facts.Disabled(),
    facts.OutsideSchedule("it is night"),
    facts.Enabled(),
    facts.SpecChanged(),
    facts.RunOver(),
    facts.RunKept(),
    facts.Evicted(WHY),
    facts.Placed(assigned(), "d2"),
    facts.NoPlace(WHY),
    facts.Throttled(WHY),
    facts.NoLicence(WHY),
    facts.Shed(WHY),
    facts.Readmitted(),
    facts.MoveBegun(assigned()),
    facts.MoveFailed(),
    facts.MoveTakesOver(),
    facts.WorkerSilent("silent"),
    facts.WorkerGone("gone"),
    facts.WorkerCrashed("crashed"),
    facts.Convicted(),
    facts.StartTimedOut("late"),
    facts.StableRunning(),
    facts.Trusted(),
    facts.RetryDue(),
    facts.ClockWentBack(),
    *(facts.WorkerBack(instance, first) for instance in ("instance-w1", "other") for first in (None, NOW)),
    *(facts.Preparing(epoch) for epoch in EPOCHS),
    *(facts.Applied(epoch, "s2") for epoch in EPOCHS),
    *(facts.FirstFrame(epoch, NOW) for epoch in EPOCHS),
    *(facts.Reconnecting(epoch, "lost") for epoch in EPOCHS),
    *(facts.Reconnected(epoch) for epoch in EPOCHS),
    *(facts.Ended(epoch, first) for epoch in EPOCHS for first in (None, NOW)),
    *(facts.Failed(epoch, code, "x", first) for epoch, code, first in product(EPOCHS, CODES, (None, NOW))),
    *(facts.Refused(epoch, code, "x") for epoch, code in product(EPOCHS, CODES)),
    *(facts.Superseded(epoch) for epoch in EPOCHS),
]
CONTEXTS = [
    context(),
    context(single_pass=True),
    context(max_attempts=2),
    context(single_pass=True, max_attempts=2, stable_after=0),
]


def variants(phase: Phase) -> list[Record]:
    """Records in a phase that differ in whatever a fact may look at, also in ways that should never occur."""
    base = record(phase)
    choices = product(
        (None, NOW - 5),
        (None, NOW - 1, NOW + 10_000),
        (0, 2),
        (True, False),
        (None, Reason.RECONNECTING, Reason.SHED, Reason.WORKER_SILENT),
        ((None, None), (assigned(), None), (assigned(), MOVE)),
        (0, 2, 3),
    )
    return [
        Record(
            phase=phase,
            epoch=base.epoch,
            run=1,
            since=NOW - 100,
            first_frame=first,
            next_retry=retry,
            attempt=attempt,
            finished=finished,
            reason=reason,
            worker=on,
            move=move,
            suspicion=suspicion,
        )
        for first, retry, attempt, finished, reason, (on, move), suspicion in choices
    ]


def outcomes(phase: Phase) -> dict[Phase, Fact]:
    """Every phase that some fact leads to, with one such fact."""
    found: dict[Phase, Fact] = {}
    cases: product[tuple[Record, Context, Fact]] = product(variants(phase), CONTEXTS, SOME_FACTS)
    for before, spec, fact in cases:
        found.setdefault(advance(before, fact, spec, NOW).phase, fact)
    return found


OUTCOMES = {phase: outcomes(phase) for phase in Phase}


@pytest.mark.acceptance("F65", "F66", "F67")
@pytest.mark.parametrize(("old", "new"), list(product(Phase, Phase)), ids=lambda phase: str(phase))
def test_an_edge_is_taken_exactly_if_the_table_has_it(old: Phase, new: Phase) -> None:
    assert (new in OUTCOMES[old]) == allowed(old, new), OUTCOMES[old].get(new)


def test_every_fact_of_the_closed_set_is_tried() -> None:
    tried = {type(fact) for fact in SOME_FACTS}
    assert tried == set(Fact.__args__)


def test_the_table_has_the_edges_of_the_design() -> None:
    assert sum(len(targets) for targets in EDGES.values()) == 42
    assert all(phase not in targets for phase, targets in EDGES.items())
