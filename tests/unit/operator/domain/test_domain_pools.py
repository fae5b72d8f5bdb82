"""How many workers there should be, and which pods come and go for it."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import NOW, assigned, job, pool, record, snapshot, used_slots, waiting_slots, worker
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.podview import Pod, PodState
from videofleet_operator.domain.pools import Place, desired_workers, plan_pool, restart_delay


def pod(ordinal: int = 0, incarnation: int = 0, **fields: Any) -> Pod:
    """A pod that has been idle since it was made, 1000 seconds ago."""
    base = Pod(f"p-{ordinal}-{incarnation}", ordinal, incarnation, PodState.READY, NOW - 1000, idle_since=NOW - 1000)
    return replace(base, **fields)


def busy(ordinal: int, used: int = 16, **fields: Any) -> Pod:
    return pod(ordinal, used=used, idle_since=None, **fields)


@pytest.mark.parametrize(
    ("spec", "pods", "waiting", "desired"),
    [
        ({}, [], [], 1),
        ({"minWorkers": 0}, [], [], 0),
        ({"minWorkers": 0}, [], [1], 1),
        ({"minWorkers": 0, "maxWorkers": 5}, [], [1] * 33, 3),
        ({"minWorkers": 0, "maxWorkers": 2}, [], [1] * 33, 2),
        ({"minWorkers": 0, "maxWorkers": 5}, [], [10, 10, 10], 3),
        ({"minWorkers": 0, "maxWorkers": 5}, [], [10, 10, 6, 6], 2),
        ({"minWorkers": 0, "maxWorkers": 5}, [], [17], 0),
        ({"minWorkers": 1, "maxWorkers": 5, "workers": 3}, [], [], 3),
        ({"minWorkers": 2, "maxWorkers": 5, "workers": 1}, [], [], 2),
        ({"maxWorkers": 5}, [busy(0), busy(1)], [], 2),
        ({"maxWorkers": 5}, [busy(0), busy(1, used=15)], [1], 2),
        ({"maxWorkers": 5}, [busy(0), busy(1, used=15)], [1, 1], 3),
        ({"maxWorkers": 5}, [busy(0, state=PodState.TERMINATING)], [], 1),
    ],
)
def test_desired(spec: dict[str, Any], pods: list[Pod], waiting: list[int], desired: int) -> None:
    assert desired_workers(pool(**spec), pods, waiting) == desired


class TestMaking:
    def test_the_lowest_empty_places_are_filled(self) -> None:
        made = plan_pool(pool(minWorkers=4, maxWorkers=4), [pod(1)], [], NOW)
        assert made.create == (Place(0, 0), Place(2, 0), Place(3, 0))
        assert [place.name("p") for place in made.create] == ["p-0-0", "p-2-0", "p-3-0"]

    def test_a_pod_that_is_being_deleted_blocks_nothing(self) -> None:
        made = plan_pool(pool(), [pod(0, 3, state=PodState.TERMINATING)], [], NOW)
        assert (made.create, made.delete) == ((Place(0, 4),), ())

    def test_pods_that_start_are_counted_on(self) -> None:
        assert plan_pool(pool(), [pod(state=PodState.STARTING)], [], NOW).create == ()

    def test_nothing_is_left_to_do_when_it_is_done(self) -> None:
        made = plan_pool(pool(minWorkers=2, maxWorkers=2), [pod(0), pod(1)], [], NOW)
        assert (made.create, made.delete, made.wake) == ((), (), None)


class TestReplacing:
    def test_a_pod_that_failed_soon_is_replaced_after_its_back_off(self) -> None:
        failed = pod(0, 8, failures=3, state=PodState.FAILED, created=NOW - 20, ended=NOW - 2)
        now = plan_pool(pool(), [failed], [], NOW)
        assert (now.create, now.delete, now.wake) == ((), (), NOW + 6)
        later = plan_pool(pool(), [failed], [], NOW + 6)
        assert (later.create, later.delete) == ((Place(0, 9, failures=4),), ("p-0-8",))

    def test_a_pod_that_had_lasted_is_replaced_at_once(self) -> None:
        failed = pod(0, 8, failures=6, state=PodState.FAILED, created=NOW - 700, ended=NOW)
        assert plan_pool(pool(), [failed], [], NOW).create == (Place(0, 9),)

    def test_failures_are_still_known_when_the_pod_that_failed_is_on_its_way_out(self) -> None:
        going = pod(0, 5, failures=4, state=PodState.TERMINATING, created=NOW - 90)
        assert plan_pool(pool(), [going], [], NOW).create == (Place(0, 6, failures=4),)

    def test_a_crash_loop_makes_ever_fewer_pods(self) -> None:
        """Each pod fails 2 seconds after it was made: one day is some 300 pods, not 40,000."""
        now, made, current = NOW, 0, pod(0, created=NOW)
        while now < NOW + 86400:
            failed = replace(current, state=PodState.FAILED, ended=now + 2)
            waiting = plan_pool(pool(), [failed], [], now + 2)
            assert waiting.create == ()
            assert waiting.wake is not None
            now = waiting.wake
            (place,) = plan_pool(pool(), [failed], [], now).create
            current = pod(0, place.incarnation, failures=place.failures, created=now)
            made += 1
        assert made < 300

    def test_a_crash_loop_does_not_spread_to_other_places(self) -> None:
        failed = pod(0, 5, state=PodState.FAILED, created=NOW - 5, ended=NOW)
        made = plan_pool(pool(minWorkers=2, maxWorkers=3), [failed, pod(1)], [], NOW)
        assert made.create == ()

    def test_a_failed_pod_goes_once_it_has_a_successor(self) -> None:
        failed = pod(0, 5, state=PodState.FAILED, created=NOW - 5, ended=NOW)
        made = plan_pool(pool(), [failed, pod(0, 6)], [], NOW)
        assert (made.create, made.delete) == ((), ("p-0-5",))

    @pytest.mark.parametrize(("failures", "delay"), [(0, 1), (1, 2), (5, 32), (9, 300), (10_000, 300)])
    def test_the_back_off(self, failures: int, delay: float) -> None:
        assert restart_delay(failures) == delay

    def test_one_idle_worker_of_an_older_template_at_a_time(self) -> None:
        old = [pod(0, outdated=True), pod(1, outdated=True), pod(2, outdated=True)]
        three = pool(minWorkers=3, maxWorkers=3)
        assert plan_pool(three, old, [], NOW).delete == ("p-2-0",)
        starting = [*old[:2], pod(2, 1, state=PodState.STARTING)]
        assert plan_pool(three, starting, [], NOW).delete == ()

    def test_a_template_that_never_started_is_replaced(self) -> None:
        stuck = pod(0, state=PodState.STARTING, outdated=True)
        assert plan_pool(pool(), [stuck], [], NOW).delete == ("p-0-0",)


class TestTakingAway:
    five = pool(minWorkers=1, maxWorkers=5, scaleDownDelay=300)

    def test_idle_workers_go_after_the_delay_the_last_place_first(self) -> None:
        pods = [pod(0), pod(1), pod(2, idle_since=NOW - 299)]
        made = plan_pool(self.five, pods, [], NOW)
        assert (made.desired, made.delete, made.wake) == (1, ("p-1-0", "p-0-0"), NOW + 1)

    def test_a_busy_worker_stays(self) -> None:
        made = plan_pool(self.five, [pod(0), busy(1, used=1)], [], NOW)
        assert made.delete == ("p-0-0",)

    def test_a_worker_that_will_be_needed_stays(self) -> None:
        assert plan_pool(self.five, [busy(0), pod(1)], [1], NOW).delete == ()

    def test_one_that_never_answered_goes_first(self) -> None:
        pods = [pod(0, state=PodState.STARTING), pod(1)]
        assert plan_pool(self.five, pods, [], NOW).delete == ("p-0-0",)

    def test_above_the_maximum_nobody_waits(self) -> None:
        pods = [pod(n, idle_since=NOW) for n in range(3)]
        assert plan_pool(pool(maxWorkers=1), pods, [], NOW).delete == ("p-2-0", "p-1-0")


class TestDemand:
    waiting = record(Phase.AWAITING, reason=Reason.WORKERS_FULL)

    def test_a_job_counts_for_one_pool(self) -> None:
        jobs = [job("a", self.waiting), job("b", self.waiting, slots=2)]
        found = waiting_slots(snapshot(jobs, pools=[pool("p"), pool("q")]))
        assert found == {"default/p": [1, 2], "default/q": []}

    def test_a_pool_that_cannot_grow_leaves_the_rest_to_the_next(self) -> None:
        jobs = [job(name, self.waiting) for name in "abc"]
        pools = [pool("p", capacityPerWorker=2), pool("q")]
        assert waiting_slots(snapshot(jobs, pools=pools)) == {"default/p": [1, 1], "default/q": [1]}

    def test_what_is_used_is_not_room(self) -> None:
        runs = job("r", record(Phase.INPROGRESS, worker=assigned()), slots=2)
        now = snapshot([runs, job("a", self.waiting)], [worker()], [pool("p", capacityPerWorker=2)])
        assert used_slots(now) == {"id-w1": 2}
        assert waiting_slots(now) == {"default/p": []}

    def test_one_worker_stays_to_tell_that_none_has_the_model(self) -> None:
        lacking = [job(name, record(Phase.AWAITING, reason=Reason.MODEL_MISSING)) for name in "ab"]
        assert waiting_slots(snapshot(lacking, pools=[pool("p"), pool("q", jobLabels={"x": "y"})])) == {
            "default/p": [1],
            "default/q": [],
        }
        runs = job("r", record(Phase.INPROGRESS, worker=assigned()))
        assert waiting_slots(snapshot([*lacking, runs], [worker()])) == {"default/p": []}, "that one can tell, too"

    @pytest.mark.parametrize("reason", [Reason.SECRET_MISSING, Reason.NEVER_FITS])
    def test_workers_that_would_not_help_are_not_asked_for(self, reason: Reason) -> None:
        now = snapshot([job("a", record(Phase.AWAITING, reason=reason))])
        assert waiting_slots(now) == {"default/p": []}

    def test_neither_does_a_pool_that_does_not_take_the_job(self) -> None:
        now = snapshot([job("a", self.waiting)], pools=[pool(jobLabels={"x": "y"}), pool("q", capacityPerWorker=1)])
        assert waiting_slots(now) == {"default/p": [], "default/q": [1]}
