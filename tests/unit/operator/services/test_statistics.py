"""Counters of many jobs: each in its turn, one write a turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.support.domain import job, record, report
from tests.unit.kube.helpers import ManualClock
from videofleet_api.phases import Phase
from videofleet_operator.domain.reports import Counters, Report
from videofleet_operator.domain.times import format_time
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.objects import JobObject, Meta
from videofleet_operator.services.packed import pack
from videofleet_operator.services.specs import Shape
from videofleet_operator.services.statistics import StatisticsRefresher


class Fleet:
    """Running jobs whose rates never rest, and what would be written of them."""

    def __init__(self, count: int) -> None:
        self.clock = ManualClock()
        self.rate = 10.0
        self.written: list[str] = []
        self.times: dict[str, float] = {}
        self.jobs: Mapping[str, KnownJob] = {f"j{n}": self.running(f"j{n}") for n in range(count)}
        self.refresher = StatisticsRefresher(
            lambda: self.jobs, self.report, self, lambda: True, wall=lambda: 0.0, clock=self.clock
        )

    def running(self, uid: str, phase: Phase = Phase.INPROGRESS) -> KnownJob:
        meta = Meta(uid, "default", uid, "1", 1, 0.0, deleting=False)
        return KnownJob(
            JobObject(meta, Shape(None), None, record(phase), b""), (), job(uid, record(phase)), lambda _: None
        )

    def report(self, worker: str, uid: str) -> Report | None:
        assert worker == "id-w1"
        progress = Counters(decoded_frames=100, processed_fps=self.rate, last_frame_time=self.clock.now)
        return report(uid, progress=progress)

    # As the writer of statuses

    def written_at(self, uid: str) -> float:
        return self.times.get(uid, float("-inf"))

    def refresh(self, known: KnownJob, told: Report, now: float) -> bool:
        uid, rate = known.job.uid, told.progress.processed_fps
        self.written.append(uid)
        self.times[uid] = self.clock.now
        status = {"statistics": {"processedFps": rate}, "lastFrameTime": format_time(self.clock.now)}
        self.jobs = {**self.jobs, uid: replace(known, source=replace(known.source, packed_status=pack(status)))}
        return True

    def turns(self, count: int) -> None:
        """So many turns, half a second apart."""
        for _ in range(count):
            self.refresher.turn()
            self.clock.now += 0.5


def test_one_write_a_turn_and_every_job_has_its_turn() -> None:
    fleet = Fleet(100)
    fleet.turns(100)
    assert sorted(fleet.written) == sorted(fleet.jobs)
    fleet.rate *= 2
    fleet.turns(101)
    assert len(fleet.written) == 200, "a turn was spent on finding that the round is over"
    assert sorted(fleet.written[100:]) == sorted(fleet.jobs)


def test_a_fleet_whose_rates_rest_is_not_written() -> None:
    fleet = Fleet(3)
    fleet.turns(200)
    assert len(fleet.written) == 3, "although the time of the last frame moves on"


def test_a_job_is_written_every_thirty_seconds_at_most() -> None:
    fleet = Fleet(1)
    for number in range(120):
        fleet.rate = 10.0 + 10 * (number % 2)
        fleet.turns(1)
    assert len(fleet.written) == 2


def test_what_does_not_run_is_passed_over() -> None:
    fleet = Fleet(2)
    fleet.jobs = {"j0": fleet.running("j0", Phase.STARTING), "j1": fleet.running("j1")}
    fleet.turns(10)
    assert fleet.written == ["j1"]
