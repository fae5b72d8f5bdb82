"""A pool is updated worker by worker: one more is made, an old one gives its streams away, and goes."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.domain import NOW, assigned, job, pool, record, snapshot, waiting_slots, worker
from tests.unit.operator.domain.test_domain_pools import busy, pod
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Pool
from videofleet_operator.domain.podview import Pod, PodState
from videofleet_operator.domain.pools import Place, PoolPlan, plan_pool
from videofleet_operator.domain.rollout import PATIENCE

TWO = pool(minWorkers=2, maxWorkers=2)
OLD = [busy(0, outdated=True), busy(1, outdated=True)]


def coming(ordinal: int = 2, **fields: Any) -> Pod:
    return pod(ordinal, **({"state": PodState.STARTING, "created": NOW - 10, "idle_since": NOW - 10} | fields))


def planned(pods: list[Pod], of: Pool = TWO) -> PoolPlan:
    return plan_pool(of, pods, [], NOW)


def test_one_more_than_the_maximum_is_made_and_nobody_leaves_yet() -> None:
    made = planned(OLD)
    assert (made.desired, made.create, made.delete, made.rollout.emptying) == (2, (Place(2, 0),), (), "")
    assert planned([*OLD, coming()]).create == (), "one at a time"
    assert planned([*OLD, coming()]).delete == (), "it is not superfluous"


def test_streams_of_the_first_old_one_leave_once_the_new_one_answers() -> None:
    made = planned([*OLD, pod(2)])
    assert (made.create, made.delete, made.rollout.emptying) == ((), (), "p-0-0")
    assert made.rollout.progress == "1 of 3 workers are of the newest template; streams move from p-0-0"


def test_the_emptied_one_goes_and_the_next_new_one_is_made() -> None:
    emptied = pod(0, outdated=True)
    assert planned([emptied, OLD[1], busy(2)]).delete == ("p-0-0",)
    gone = replace(emptied, state=PodState.TERMINATING)
    assert planned([gone, OLD[1], busy(2)]).create == (Place(0, 1),)


def test_at_the_end_there_are_as_many_as_before_all_new() -> None:
    last = planned([busy(0, incarnation=1), pod(1, outdated=True), busy(2)])
    assert (last.create, last.delete, last.rollout.surge) == ((), ("p-1-0",), 0)
    over = planned([busy(0, incarnation=1), busy(2)])
    assert (over.create, over.delete, over.rollout.progress) == ((), (), "")


class TestNoNodeHasRoom:
    stuck = coming(created=NOW - PATIENCE, unscheduled=True)

    def test_it_is_waited_for_a_while(self) -> None:
        young = coming(unscheduled=True)
        made = planned([busy(0, 2, outdated=True), busy(1, 2, outdated=True), young])
        assert made.rollout.emptying == ""
        assert made.wake == NOW + PATIENCE - 10

    def test_then_one_is_emptied_onto_the_others(self) -> None:
        pods = [busy(0, 2, outdated=True), busy(1, 2, outdated=True), self.stuck]
        assert planned(pods).rollout.emptying == "p-0-0"
        emptied = [pod(0, outdated=True), busy(1, 4, outdated=True), self.stuck]
        assert planned(emptied).delete == ("p-0-0",), "its place is what the new one waits for"

    def test_or_it_is_told_that_they_do_not_fit(self) -> None:
        made = planned([*OLD, self.stuck])
        assert made.rollout.emptying == ""
        assert "the 16 slots of p-0-0 do not fit on the others" in made.rollout.progress

    def test_a_template_that_does_not_start_takes_nobody_away(self) -> None:
        crashing = coming(created=NOW - 1000)
        made = planned([busy(0, 2, outdated=True), pod(1, outdated=True), crashing])
        assert (made.rollout.emptying, made.delete) == ("", ())


def test_without_overlap_there_is_no_additional_worker() -> None:
    made = planned(OLD, pool(minWorkers=2, maxWorkers=2, drain={"mode": "stop"}))
    assert (made.create, made.rollout.emptying) == ((), "p-0-0")


class TestDrainedByHand:
    def test_it_is_replaced_and_taken_away_once_it_is_empty(self) -> None:
        assert planned([busy(0, draining=True), pod(1)]).create == (Place(0, 1),)
        assert planned([busy(0, draining=True), pod(1)]).delete == ()
        assert planned([pod(0, draining=True), pod(1), pod(0, 1)]).delete == ("p-0-0",)

    @pytest.mark.parametrize("fields", [{"replaced": True}, {"replaced": True, "leaving": True}])
    def test_its_streams_ask_for_another_worker(self, fields: dict[str, Any]) -> None:
        runs = job("j1", record(Phase.INPROGRESS, worker=assigned()), slots=3)
        now = snapshot([runs], [worker(**fields)], [pool(minWorkers=0, maxWorkers=1)])
        assert waiting_slots(now) == {"default/p": [3]}

    def test_a_pool_that_is_emptied_is_asked_for_none(self) -> None:
        runs = job("j1", record(Phase.INPROGRESS, worker=assigned()))
        emptied = replace(pool(), draining=True)
        now = snapshot([runs], [worker(replaced=True)], [emptied, pool("q")])
        assert waiting_slots(now) == {"default/p": [], "default/q": [1]}


def test_a_cordoned_worker_is_no_room_for_those_that_wait() -> None:
    one = pool(minWorkers=1, maxWorkers=3)
    assert plan_pool(one, [pod(0, cordoned=True)], [1], NOW).create == (Place(1, 0),)
    assert plan_pool(one, [pod(0, cordoned=True)], [], NOW).create == ()
