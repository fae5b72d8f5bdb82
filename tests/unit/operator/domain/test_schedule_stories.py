"""What a schedule does to a job, plan by plan."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import NOW, applied, job, record, report, settled, snapshot, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.conditions import conditions
from videofleet_operator.domain.model import ALWAYS, Job, Opening, Record, Why
from videofleet_operator.domain.planner import plan

P = Phase
NIGHT = Opening(False, NOW, NOW + 3600)
DAY = Opening(True, NOW, NOW + 7200)
BAD_ZONE = Why(Reason.UNKNOWN_TIME_ZONE, "spec.schedule[0].timeZone 'Europe/Berln' is no time zone")


def at_rest(*jobs: Job) -> Record:
    return settled(snapshot(jobs, [worker()]))[0].jobs["j1"].record


def told(it: Record) -> tuple[Phase, Reason | None]:
    return it.phase, it.reason


@pytest.mark.parametrize("phase", sorted(set(Phase)))
def test_outside_its_schedule_a_job_is_disabled(phase: Phase) -> None:
    it = at_rest(job("j1", record(phase), opening=NIGHT))
    assert told(it) == (P.DISABLED, Reason.SCHEDULE)
    assert it.message == "outside spec.schedule, which opens at 2027-01-15 09:00 UTC"
    assert it.worker is None


@pytest.mark.parametrize("phase", [P.COMPLETED, P.INTERRUPTED])
def test_a_single_pass_that_is_over_stays_so(phase: Phase) -> None:
    before = job("j1", record(phase, finished=True, completed=NOW - 10), opening=NIGHT, singlePass=True)
    made = plan(snapshot([before], [worker()]))
    assert (made.records, made.wake) == ({}, None)


def test_it_sleeps_until_exactly_when_the_schedule_changes() -> None:
    closed = job("j1", record(P.DISABLED, reason=Reason.SCHEDULE), opening=NIGHT)
    assert plan(snapshot([closed])).wake == NIGHT.until
    running = job("j1", record(P.INPROGRESS), opening=DAY)
    said = {"j1": report(first_frame=True)}
    assert plan(snapshot([running], [worker(reports=said, silent_for=-10_000.0)])).wake == DAY.until


def test_when_it_opens_the_job_starts_and_goes_on_in_its_run() -> None:
    closed = record(P.DISABLED, reason=Reason.SCHEDULE, run=4)
    now = snapshot([job("j1", closed, opening=DAY)], [worker()])
    first = plan(now).records["j1"]
    assert (*told(first), first.message) == (P.AWAITING, Reason.ENABLED, "inside spec.schedule again")
    started = plan(applied(now, {"j1": first})).records["j1"]
    assert (started.phase, started.run, started.epoch) == (P.STARTING, 4, 4)


@pytest.mark.parametrize("opening", [NIGHT, DAY, ALWAYS])
def test_one_that_is_switched_off_says_so_whatever_the_schedule_says(opening: Opening) -> None:
    for before in (record(P.INPROGRESS), record(P.DISABLED, reason=Reason.SCHEDULE)):
        it = at_rest(job("j1", before, opening=opening, enabled=False))
        assert (*told(it), it.message) == (P.DISABLED, Reason.DISABLED, "spec.enabled is false")
        assert it.transitions == before.transitions + (before.phase is not P.DISABLED)


def test_switched_on_at_night_it_waits_for_the_day() -> None:
    off = record(P.DISABLED, reason=Reason.DISABLED, message="spec.enabled is false")
    it = at_rest(job("j1", off, opening=NIGHT))
    assert (told(it), it.transitions) == ((P.DISABLED, Reason.SCHEDULE), off.transitions)


def test_it_holds_no_slot_at_night() -> None:
    now = settled(snapshot([job("j1", record(P.INPROGRESS), opening=NIGHT, slots=16), job("j2")], [worker()]))[0]
    assert now.jobs["j2"].record.phase is P.STARTING


def test_a_zone_that_nobody_knows_stops_the_job_and_needs_a_user() -> None:
    it = at_rest(job("j1", record(P.INPROGRESS), problem=BAD_ZONE))
    assert (*told(it), it.message) == (P.AWAITING, Reason.UNKNOWN_TIME_ZONE, BAD_ZONE.message)
    stalled = next(each for each in conditions(it, job(), [], NOW) if each.type == "Stalled")
    assert stalled.status == "True"
    mended = at_rest(job("j1", it))
    assert mended.phase is P.STARTING


def test_a_zone_that_nobody_knows_does_not_keep_it_from_being_switched_off() -> None:
    it = at_rest(job("j1", record(P.INPROGRESS), problem=BAD_ZONE, enabled=False))
    assert told(it) == (P.DISABLED, Reason.DISABLED)


def test_a_shorter_night_is_told() -> None:
    asleep = at_rest(job("j1", record(P.INPROGRESS), opening=NIGHT))
    sooner: dict[str, Any] = {"opening": replace(NIGHT, until=NOW + 60)}
    it = at_rest(replace(job("j1", asleep), **sooner))
    assert it.message == "outside spec.schedule, which opens at 2027-01-15 08:01 UTC"
    assert it.transitions == asleep.transitions


def test_settling_with_a_schedule_writes_once() -> None:
    quiet, plans = settled(snapshot([job("j1", record(P.INPROGRESS), opening=NIGHT)], [worker()]))
    assert len(plans) == 1
    assert plan(quiet).records == {}
