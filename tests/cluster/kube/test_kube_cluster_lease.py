"""Elections on a real Lease, with times short enough for a test."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.kube.helpers import eventually
from videofleet_kube import LEASES, ApiSession, LeaseElector, LeaseTimes

pytestmark = pytest.mark.alone

TIMES = LeaseTimes(duration=2.0, renew_deadline=1.5, retry=0.2)
LONG = LeaseTimes(duration=30.0, renew_deadline=20.0, retry=0.2)
"""So long that whoever leads before they are over has been told, and has not waited."""


class Candidate:
    """An elector and what it has said."""

    def __init__(self, session: ApiSession, namespace: str, identity: str, times: LeaseTimes = TIMES) -> None:
        self.log: list[str] = []
        self.elector = LeaseElector(
            session,
            namespace,
            "operator",
            identity,
            times=times,
            on_started=lambda term: self.log.append(f"started {term}"),
            on_stopped=lambda: self.log.append("stopped"),
        )
        self.task = asyncio.create_task(self.elector.run())

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_lead_hand_over_and_lead_again(session: ApiSession, namespace: str) -> None:
    one = Candidate(session, namespace, "one", LONG)
    await eventually(lambda: one.elector.is_leader, timeout=60)
    lease = await session.get(LEASES, namespace, "operator") or {}
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("one", 1)
    two = Candidate(session, namespace, "two", LONG)
    await eventually(lambda: two.elector.holder == "one", timeout=60)
    await one.stop()
    await eventually(lambda: two.elector.is_leader, timeout=0.8 * LONG.duration)
    assert one.log == ["started 1", "stopped"]
    assert two.log == ["started 2"]
    third = Candidate(session, namespace, "one", LONG)
    await two.stop()
    await eventually(lambda: third.elector.is_leader, timeout=0.8 * LONG.duration)
    assert third.log == ["started 3"]
    await third.stop()
    lease = await session.get(LEASES, namespace, "operator") or {}
    assert lease["spec"].get("holderIdentity", "") == ""
    assert lease["spec"]["leaseTransitions"] == 3


async def test_a_deleted_lease_comes_back_with_a_higher_term(session: ApiSession, namespace: str) -> None:
    one = Candidate(session, namespace, "one")
    await eventually(lambda: one.elector.is_leader, timeout=60)
    await session.delete(LEASES, namespace, "operator")
    await eventually(lambda: one.log[-1] == "started 2", timeout=60)
    await one.stop()


async def test_a_theft_is_noticed(session: ApiSession, namespace: str) -> None:
    one = Candidate(session, namespace, "one")
    await eventually(lambda: one.elector.is_leader, timeout=60)
    stolen = {"spec": {"holderIdentity": "thief", "leaseTransitions": 5}}
    await session.patch(LEASES, namespace, "operator", stolen)
    await eventually(lambda: "stopped" in one.log, timeout=60)
    await eventually(lambda: one.elector.is_leader, timeout=60)
    assert one.log == ["started 1", "stopped", "started 6"]
    await one.stop()
