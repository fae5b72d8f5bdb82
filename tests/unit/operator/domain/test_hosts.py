"""How fast jobs start at one source host."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.support.domain import NOW, applied, assigned, failed, job, phases, pool, record, snapshot, worker
from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.hosts import host_of
from videofleet_operator.domain.model import Bucket, Failure, Job, Licence, Pace, Plan, Record, Snapshot
from videofleet_operator.domain.planner import plan

P = Phase
SITE = "recorder.example"
AUTH = Failure("AUTH", "wrong password", NOW - 10)


def at(host: str | None, count: int, of: Record | None = None, prefix: str = "j") -> list[Job]:
    """Jobs that wait and whose sources are at one host."""
    waits = of or record(P.AWAITING)
    return [replace(job(f"{prefix}{number:03}", waits), host=host) for number in range(count)]


def fleet(jobs: Iterable[Job], pace: Pace = Pace(burst=5, per_second=2)) -> Snapshot:  # noqa: B008  a frozen value
    return replace(snapshot(jobs, [worker("w1", capacity=99)], [pool(capacityPerWorker=99)]), pace=pace)


def later(now: Snapshot, made: Plan, seconds: float) -> Snapshot:
    """After the plan was written and some time has passed."""
    return replace(applied(now, made.records, seconds), buckets=made.buckets)


def started(made: Plan) -> list[str]:
    return sorted(uid for uid, each in made.records.items() if each.phase is P.STARTING)


class TestPace:
    def test_a_site_that_comes_back_is_not_stormed(self) -> None:
        now = fleet(at(SITE, 12))
        counts = []
        for _ in range(5):
            made = plan(now)
            counts.append(len(started(made)))
            now = later(now, made, 1.0)
        assert counts == [5, 2, 2, 2, 1]

    def test_hosts_do_not_wait_for_each_other(self) -> None:
        jobs = [*at("a", 8, prefix="a"), *at("b", 8, prefix="b"), *at(None, 8, prefix="file")]
        made = plan(fleet(jobs))
        counts = [sum(uid.startswith(prefix) for uid in started(made)) for prefix in ("a", "b", "file")]
        assert counts == [5, 5, 8]

    def test_the_order_of_starting_is_kept(self) -> None:
        last = replace(job("urgent", record(P.AWAITING), priority=1), host=SITE)
        made = plan(fleet([*at(SITE, 5), last]))
        assert started(made) == ["j000", "j001", "j002", "j003", "urgent"]

    def test_who_waits_leaves_its_room_and_its_licence_slot_to_others(self) -> None:
        now = fleet([*at(SITE, 7), *at("b", 2, prefix="later")])
        made = plan(replace(now, licence=Licence(7)))
        assert started(made) == ["j000", "j001", "j002", "j003", "j004", "later000", "later001"]

    def test_the_bucket_is_refilled_to_its_burst_and_no_further(self) -> None:
        now = fleet(at(SITE, 30))
        first = plan(now)
        assert first.buckets == {SITE: Bucket(0.0, NOW)}
        rested = later(now, first, 3600)
        assert len(started(plan(rested))) == 5
        assert plan(replace(rested, jobs={})).buckets == {}, "a full one is forgotten"

    def test_a_clock_that_went_back_neither_refills_nor_holds_for_long(self) -> None:
        now = replace(fleet(at(SITE, 3)), buckets={SITE: Bucket(0.0, NOW + 5000)})
        made = plan(now)
        assert started(made) == []
        assert len(started(plan(later(now, made, 1.0)))) == 2

    def test_a_new_leader_begins_with_full_buckets(self) -> None:
        now = fleet(at(SITE, 12))
        assert len(started(plan(replace(later(now, plan(now), 0.0), buckets={})))) == 5

    def test_the_usual_pace_lets_a_recorder_with_64_channels_back_within_5_seconds(self) -> None:
        now = fleet(at(SITE, 64), Pace())
        for _ in range(6):
            made = plan(now)
            now = later(now, made, 1.0)
        assert set(phases(now).values()) == {P.STARTING}


class TestReason:
    @pytest.mark.parametrize("phase", [P.AWAITING, P.NOT_STARTED, P.MISCONFIGURED, P.TOO_MANY_CAMERAS])
    def test_whoever_waits_is_told_why_and_the_plan_wakes_for_it(self, phase: Phase) -> None:
        now = fleet(at(SITE, 6, record(phase, next_retry=NOW)))
        made = plan(now)
        waits = made.records["j005"]
        assert (waits.phase, waits.reason) == (P.AWAITING, Reason.SOURCE_THROTTLED)
        assert waits.message == "many jobs start at the host of its source: 5 do at once, then 2 a second"
        assert made.waiting["j005"].reason is Reason.SOURCE_THROTTLED
        assert made.wake == NOW + 0.5

    def test_the_host_is_never_told(self) -> None:
        """It may come from a Secret."""
        assert SITE not in repr(plan(fleet(at(SITE, 6))).records)

    def test_a_new_job_is_not_written_twice_for_a_wait_of_seconds(self) -> None:
        jobs = [replace(each, created=NOW) for each in at(SITE, 6, Record())]
        made = plan(fleet(jobs))
        assert (len(started(made)), "j005" in made.records) == (5, False)
        assert made.waiting["j005"].reason is Reason.SOURCE_THROTTLED
        overdue = plan(later(replace(fleet(jobs), pace=Pace(5, 0.001)), made, 5.0))
        assert overdue.records["j005"].reason is Reason.SOURCE_THROTTLED

    def test_a_lost_stream_keeps_its_licence_slot_while_it_waits(self) -> None:
        lost = record(P.DISCONNECTED, worker=assigned(worker("gone")))
        now = replace(fleet(at(SITE, 6, lost)), licence=Licence(6))
        made = plan(now)
        assert len(started(made)) == 5
        waits = made.records["j005"]
        assert (waits.phase, waits.reason, waits.worker) == (P.DISCONNECTED, Reason.SOURCE_THROTTLED, lost.worker)
        assert started(plan(later(now, made, 0.5))) == ["j005"]


class TestRefusedCredentials:
    """Cameras lock an account after a few wrong passwords."""

    def test_never_sooner_than_a_minute_with_the_same(self) -> None:
        it = replace(job("j1", record(P.AWAITING, last_error=AUTH)), host=SITE)
        made = plan(fleet([it]))
        assert made.records["j1"].reason is Reason.SOURCE_THROTTLED
        assert "refused these credentials less than a minute ago" in made.records["j1"].message
        assert made.wake == NOW + 50
        assert started(plan(replace(fleet([it]), now=NOW + 50))) == ["j1"]

    def test_from_the_refusal_over_off_and_on_to_the_next_try(self) -> None:
        now = fleet([replace(job("j1", record(P.STARTING)), host=SITE)])
        says = {"j1": failed(ErrorCode.AUTH)}
        now = replace(now, workers={"id-w1": replace(now.workers["id-w1"], reports=says)})
        now = later(now, plan(now), 1.0)
        for enabled in (False, True, True):
            spec = job(enabled=enabled).spec
            now = replace(now, jobs={"j1": replace(now.jobs["j1"], spec=spec)})
            now = later(now, plan(now), 1.0)
        assert now.jobs["j1"].record.reason is Reason.SOURCE_THROTTLED
        assert started(plan(replace(now, now=NOW + 59.9))) == []
        assert started(plan(replace(now, now=NOW + 60))) == ["j1"]

    def test_more_attempts_allowed_do_not_make_it_faster(self) -> None:
        given_up = record(P.NOT_STARTED, attempt=1, last_error=AUTH, reason=Reason.SOURCE_AUTH)
        it = job("j1", given_up, restart={"maxAttempts": 2})
        assert started(plan(fleet([it]))) == []

    def test_other_credentials_are_tried_at_once(self) -> None:
        assert started(plan(fleet([job("j1", record(P.AWAITING, last_error=AUTH), digest="d2")]))) == ["j1"]

    def test_another_error_is_not_waited_for(self) -> None:
        error = replace(AUTH, code="NETWORK")
        assert started(plan(fleet([job("j1", record(P.AWAITING, last_error=error))]))) == ["j1"]

    def test_an_error_from_the_future_holds_nothing(self) -> None:
        error = replace(AUTH, time=NOW + 5000)
        assert started(plan(fleet([job("j1", record(P.AWAITING, last_error=error))]))) == ["j1"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("rtsp://Camera.example:554/1", "camera.example"),
        ("https://[::1]:8443/a.m3u8", "::1"),
        ("file:///media/a.mp4", None),
        ("test://pattern", None),
        ("s3://bucket/a.mp4", None),
        ("rtsp://[::1/1", None),
        ("nonsense", None),
    ],
)
def test_the_host_of_a_source(url: str, host: str | None) -> None:
    assert host_of(url) == host
