"""Who may lead: decisions by name, then elections on a server, with time that only the test moves."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.kube.fakeapi import FakeApi, refusal
from videofleet_kube import ApiSession, LeaseElector, LeaseTimes
from videofleet_kube.election import Claim, LeaseState, Wait, decide, next_stamp, parse_lease, still_ours

LEASES = "apis/coordination.k8s.io/v1/leases"


def lease(holder: str = "other", term: int = 7) -> LeaseState:
    return LeaseState(holder, term, "2026-01-01T00:00:00.000000Z", 15.0, "100")


@pytest.mark.parametrize(
    ("state", "seen_for", "highest", "decision"),
    [
        pytest.param(None, 0, 0, Claim(1, None), id="no lease: created with the first term"),
        pytest.param(None, 0, 9, Claim(10, None), id="deleted lease: terms go on"),
        pytest.param(lease(""), 0, 0, Claim(8, lease("")), id="released: taken at once"),
        pytest.param(lease(), 0, 0, Wait(15.0), id="just seen: waited for, however old its time says it is"),
        pytest.param(lease(), 14.5, 0, Wait(0.5), id="nearly run out: waited for"),
        pytest.param(lease(), 15.0, 0, Claim(8, lease()), id="run out: taken"),
        pytest.param(lease("me"), 0, 0, Claim(8, lease("me")), id="our own from before: a new term all the same"),
        pytest.param(lease(term=3), 20, 9, Claim(10, lease(term=3)), id="recreated with a lower term: terms go on"),
    ],
)
def test_decisions(state: LeaseState | None, seen_for: float, highest: int, decision: Claim | Wait) -> None:
    assert decide("me", state, seen_for, highest) == decision


@pytest.mark.parametrize(
    ("state", "ours"),
    [
        pytest.param(lease("me"), True, id="only its version changed"),
        pytest.param(lease("me", 8), False, id="taken in our name in another term"),
        pytest.param(lease("other"), False, id="taken"),
        pytest.param(lease(""), False, id="emptied"),
        pytest.param(None, False, id="deleted"),
    ],
)
def test_whether_a_refused_renewal_may_go_on(state: LeaseState | None, ours: bool) -> None:
    assert still_ours("me", 7, state) is ours


def test_a_lease_with_nothing_in_it_is_nobodys() -> None:
    state = parse_lease({"metadata": {"resourceVersion": "5"}}, 15.0)
    assert (state.holder, state.term, state.duration, state.version) == ("", 0, 15.0, "5")


def test_the_renew_time_never_goes_back() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert next_stamp("", now) == now
    assert next_stamp("not a time", now) == now
    assert next_stamp("2025-01-01T00:00:00.000000Z", now) == now
    assert next_stamp("2026-06-01T00:00:00.000000Z", now) == datetime(2026, 6, 1, 0, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("times", [(15, 15, 2), (15, 10, 10), (15, 10, 0)])
def test_times_that_cannot_work_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="0 < retry < renew_deadline < duration"):
        LeaseTimes(*times)


async def a_moment() -> None:
    """Real time, in which requests go on and answers come."""
    await asyncio.to_thread(time.sleep, 0.002)


class World:
    """One clock for all candidates. In a fixture it is also the event loop's: no request times out by itself."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.candidates: list[Candidate] = []
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def clock(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now)

    async def sleep(self, seconds: float) -> None:
        sleeper = (self.now + seconds, asyncio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    async def pass_until(
        self, condition: Callable[[], object], limit: float = 60.0, *, requests_take_time: bool = False
    ) -> float:
        """Let time pass until the condition holds; the seconds it took, AssertionError past the limit.

        It passes while all are asleep: an answer takes no time, unless requests do.
        """
        began = self.now
        while not condition():
            assert self.now - began < limit, f"not true after {limit:g} s"
            if requests_take_time:
                await a_moment()
            else:
                await comes_true(lambda: condition() or self._all_asleep())
            self._go_on(0.05)
        return self.now - began

    def _all_asleep(self) -> bool:
        running = [one for one in self.candidates if not one.task.done()]
        return sum(not due.is_set() for _, due in self._sleepers) == len(running)

    def _go_on(self, seconds: float) -> None:
        self.now += seconds
        for due, event in self._sleepers:
            if due <= self.now:
                event.set()


async def comes_true(condition: Callable[[], object]) -> None:
    """Wait for what needs no time to pass; AssertionError when it does not come."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "did not come true within 60 s, in which the world's clock stood still"
        await a_moment()


class Candidate:
    """An elector and what it has said."""

    def __init__(self, world: World, session: ApiSession, identity: str, **options: Any) -> None:
        self.log: list[str] = []
        self.elector = LeaseElector(
            session,
            "ns",
            "operator",
            identity,
            clock=options.pop("clock", world.clock),
            wall=world.wall,
            sleep=world.sleep,
            rng=random.Random(identity),
            on_started=lambda term: self.log.append(f"started {term}"),
            on_stopped=lambda: self.log.append("stopped"),
            **options,
        )
        self.task = asyncio.create_task(self.elector.run())
        world.candidates.append(self)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def world(session: ApiSession, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Given back its own time, the loop closes the session after the test."""
    loop = asyncio.get_running_loop()
    made = World(loop.time())
    with monkeypatch.context() as patched:
        patched.setattr(loop, "time", made.clock)
        yield made


@pytest.fixture
async def candidate(world: World, session: ApiSession) -> AsyncIterator[Callable[..., Candidate]]:
    made: list[Candidate] = []

    def make(identity: str, **options: Any) -> Candidate:
        made.append(Candidate(world, options.pop("session", session), identity, **options))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


@asynccontextmanager
async def unreachable(api: FakeApi) -> AsyncIterator[None]:
    """Every request fails within."""
    api.always = lambda _: refusal(503, "ServiceUnavailable")
    yield
    api.always = lambda _: None


def spec(api: FakeApi) -> dict[str, Any]:
    return dict(api.objects[LEASES, "ns", "operator"]["spec"])


async def test_the_first_one_leads_and_renews(api: FakeApi, world: World, candidate: Callable[..., Candidate]) -> None:
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    assert one.log == ["started 1"]
    first = spec(api)
    assert (first["holderIdentity"], first["leaseTransitions"], first["leaseDurationSeconds"]) == ("one", 1, 15)
    took = await world.pass_until(lambda: spec(api)["renewTime"] != first["renewTime"])
    assert took <= 2.5
    assert spec(api)["acquireTime"] == first["acquireTime"]
    assert spec(api)["leaseTransitions"] == 1
    assert one.elector.term == 1
    assert 12.0 < one.elector.remaining() <= 15.0
    # What the server has stored, the elector hears a moment later.
    await comes_true(lambda: one.elector.renewed_at == spec(api)["renewTime"])


async def test_a_second_one_waits_and_takes_over_after_a_crash(
    api: FakeApi, world: World, candidate: Callable[..., Candidate]
) -> None:
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    two = candidate("two")
    with pytest.raises(AssertionError, match="not true after 30 s"):
        await world.pass_until(lambda: two.elector.is_leader, limit=30)
    assert two.elector.holder == "one"
    async with unreachable(api):
        await one.stop()
    took = await world.pass_until(lambda: two.elector.is_leader)
    assert 12.0 < took < 18.0
    assert two.log == ["started 2"]


async def test_a_release_hands_over_at_once(api: FakeApi, world: World, candidate: Callable[..., Candidate]) -> None:
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    two = candidate("two")
    await world.pass_until(lambda: two.elector.holder == "one")
    await one.stop()
    assert one.log == ["started 1", "stopped"]
    assert spec(api)["holderIdentity"] == ""
    assert spec(api)["leaseTransitions"] == 1
    # The watch tells: no time needs to pass.
    await comes_true(lambda: two.elector.is_leader)
    assert two.log == ["started 2"]


async def test_without_a_watch_a_release_is_seen_at_the_next_look(
    api: FakeApi, world: World, candidate: Callable[..., Candidate]
) -> None:
    api.always = lambda request: refusal(403, "Forbidden") if "watch" in request.query else None
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    two = candidate("two")
    await world.pass_until(lambda: two.elector.holder == "one")
    await one.stop()
    assert await world.pass_until(lambda: two.elector.is_leader) < 3.0


async def test_taking_it_back_after_ones_own_release_is_a_new_term(
    world: World, candidate: Callable[..., Candidate]
) -> None:
    for term in (1, 2, 3):
        one = candidate("one")
        await world.pass_until(lambda one=one: one.elector.is_leader)  # type: ignore[misc]  # bound at definition
        assert one.log == [f"started {term}"]
        await one.stop()


async def test_without_a_server_one_steps_down_at_the_deadline_and_returns_with_a_new_term(
    api: FakeApi, world: World, candidate: Callable[..., Candidate]
) -> None:
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    async with unreachable(api):
        took = await world.pass_until(lambda: one.log[-1] == "stopped")
        assert took <= 10.1
        assert not one.elector.is_leader
        assert one.elector.remaining() == 0
        assert one.elector.term is None
    await world.pass_until(lambda: one.elector.is_leader)
    assert one.log == ["started 1", "stopped", "started 2"]


async def test_a_stuck_loop_does_not_make_a_leader(world: World, candidate: Callable[..., Candidate]) -> None:
    """The clock alone decides: nothing has had the time to notice yet."""
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    world.now += 10.0
    assert not one.elector.is_leader
    assert one.elector.remaining() == 0
    assert one.log == ["started 1"]


async def test_a_thief_is_noticed_at_the_next_renewal(
    api: FakeApi, world: World, candidate: Callable[..., Candidate]
) -> None:
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    stolen = {**spec(api), "holderIdentity": "thief", "leaseTransitions": 5}
    api.put(LEASES, "ns", "operator", spec=stolen)
    assert await world.pass_until(lambda: one.log[-1] == "stopped") <= 2.5
    assert one.elector.holder == "thief"
    assert await world.pass_until(lambda: one.elector.is_leader) > 14.0
    assert one.log[-1] == "started 6"


async def test_an_edit_of_its_labels_does_not_cost_the_lease(
    api: FakeApi, world: World, candidate: Callable[..., Candidate]
) -> None:
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    renewed = spec(api)["renewTime"]
    api.put(LEASES, "ns", "operator", metadata={"labels": {"team": "video"}})
    await world.pass_until(lambda: spec(api)["renewTime"] != renewed)
    assert one.log == ["started 1"]
    assert api.objects[LEASES, "ns", "operator"]["metadata"]["labels"] == {"team": "video"}


async def test_an_edit_of_its_labels_is_no_sign_of_life(
    api: FakeApi, world: World, candidate: Callable[..., Candidate]
) -> None:
    api.put(
        LEASES, "ns", "operator", spec={"holderIdentity": "dead", "leaseTransitions": 4, "leaseDurationSeconds": 15}
    )
    one = candidate("one")
    await world.pass_until(lambda: one.elector.holder == "dead")
    began = world.now
    for index in range(8):
        await world.pass_until(lambda until=world.now + 1.5: world.now >= until)  # type: ignore[misc]  # as above
        api.put(LEASES, "ns", "operator", metadata={"labels": {"edit": str(index)}})
    await world.pass_until(lambda: one.elector.is_leader)
    assert world.now - began < 17.0
    assert one.log == ["started 5"]


async def test_a_deleted_lease_is_made_anew_with_a_higher_term(
    api: FakeApi, world: World, candidate: Callable[..., Candidate]
) -> None:
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    api.remove(LEASES, "ns", "operator")
    await world.pass_until(lambda: one.log[-1] == "started 2")
    assert one.log == ["started 1", "stopped", "started 2"]
    assert spec(api)["leaseTransitions"] == 2


async def test_a_renewal_that_hangs_does_not_outlive_the_deadline(
    api: FakeApi, world: World, candidate: Callable[..., Candidate]
) -> None:
    one = candidate("one")
    await world.pass_until(lambda: one.elector.is_leader)
    api.flowing.clear()
    took = await world.pass_until(lambda: one.log[-1] == "stopped", requests_take_time=True)
    assert 9.9 < took <= 10.1, "renew_deadline"
    api.flowing.set()


async def test_never_two_leaders_whatever_fails(api: FakeApi, session: ApiSession) -> None:
    """Three candidates for two minutes, requests refused and answers lost at random: one leader, rising terms."""
    world, rng = World(), random.Random(3)
    api.always = lambda _: refusal(500, "InternalError") if rng.random() < 0.4 else None
    api.loses = lambda _: rng.random() < 0.4
    candidates = [Candidate(world, session, identity) for identity in ("one", "two", "three")]
    terms: list[int] = []
    for one in candidates:
        one.elector._on_started = terms.append

    def alone() -> bool:
        assert sum(one.elector.is_leader for one in candidates) <= 1
        assert terms == sorted(set(terms))
        return False

    with pytest.raises(AssertionError, match="not true after 120 s"):
        await world.pass_until(alone, limit=120, requests_take_time=True)
    for one in candidates:
        await one.stop()
    assert len(terms) > 1


async def test_an_empty_identity_is_refused(session: ApiSession) -> None:
    with pytest.raises(ValueError, match="identity"):
        LeaseElector(session, "ns", "operator", "")
