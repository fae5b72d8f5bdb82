"""Two operators, or none for a while: streams go on, and what happened meanwhile is known in the end."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.operator.conftest import Replicas
from tests.cluster.operator.harness import World, eventually
from tests.support.operator_process import OperatorProcess
from tests.support.simulated_worker import first_frame
from tests.support.wire import wire_to
from videofleet_api.codes import ErrorCode
from videofleet_kube.resources import LEASES


async def _running(world: World, *names: str) -> None:
    """A worker, and these jobs on it."""
    await world.pool()
    await world.until_workers(1)
    for name in names:
        await world.job(name)
    for name in names:
        await world.until(name, "INPROGRESS")


async def _two(replicas: Replicas, lease_duration: str) -> tuple[OperatorProcess, OperatorProcess]:
    """The one that leads and the one that stands by."""
    both = [replicas.new(name, lease_duration=lease_duration) for name in ("first", "second")]
    for each in both:
        each.launch()
    for each in both:
        await each.until_ready()
    await eventually(lambda: any(each.leads for each in both), "one of them leads")
    return (both[0], both[1]) if both[0].leads else (both[1], both[0])


async def test_what_workers_reported_while_no_operator_ran_arrives(apart: World, replicas: Replicas) -> None:
    operator = await replicas.leader()
    apart.scripts["slow"] = [[]]
    apart.scripts["broken"] = [[first_frame()], [first_frame()]]
    apart.scripts["refused"] = [[], [first_frame()]]
    await _running(apart, "camera", "broken")
    await apart.job("file", singlePass=True)
    await apart.until("file", "INPROGRESS")
    for name in ("slow", "refused"):
        await apart.job(name)
        await apart.until(name, "STARTING")
    worker = apart.worker()
    await eventually(lambda: len(worker.assigned) == 5, "the worker has them all")
    await replicas.kill(operator)
    seen = 1_900_000_000.0
    worker.job("slow").running(seen)
    worker.job("broken").failed(ErrorCode.NETWORK, "cut off")
    worker.job("file").ended()
    worker.job("refused").refused(ErrorCode.BAD_PARAMETER, "no such thing")
    await operator.start()
    slow = await apart.until("slow", "INPROGRESS", epoch=1)
    assert slow["firstFrameTime"].startswith("2030-03-17T17:46:40"), "as the worker told it"
    await apart.until("broken", "INPROGRESS", epoch=2)
    assert ("INTERRUPTED", "SourceNetwork", 1) in [each.brief for each in apart.history("broken")]
    await apart.until("file", "COMPLETED", "Ended", epoch=1)
    assert ("MISCONFIGURED", "BadParameter", 1) in [each.brief for each in apart.history("refused")]
    # What nothing happened to was not touched.
    assert apart.scripts.seen["camera"] == [1]
    assert apart.phases("camera") == ["STARTING", "INPROGRESS"]


async def test_a_killed_leader_is_followed_by_the_one_that_stands_by(apart: World, replicas: Replicas) -> None:
    leader, standby = await _two(replicas, "15")
    await _running(apart, "a", "b")
    before = {name: apart.last(name) for name in "ab"}
    instance = apart.worker().instance
    # It has heard from the workers all the time.
    metric = 'videofleet_workers{state="connected"}'
    await eventually(lambda: standby.metrics().get(metric) == 1, "it listens to the worker")
    leader.kill()
    await eventually(lambda: standby.leads, "the other one leads")
    await apart.job("later")
    await apart.until("later", "INPROGRESS")
    assert apart.worker().instance == instance
    for name in "ab":
        assert apart.scripts.seen[name] == [1]
        assert apart.last(name) == before[name], "nothing is written of what goes on"


async def test_a_leader_that_is_told_to_end_hands_over_at_once(apart: World, replicas: Replicas) -> None:
    """Its Lease would last for twice as long as the test waits."""
    leader, standby = await _two(replicas, "60")
    await _running(apart, "camera")
    assert await leader.terminate() == 0
    await eventually(lambda: standby.leads, "the other one leads")
    await apart.job("later")
    await apart.until("later", "INPROGRESS")
    assert apart.scripts.seen["camera"] == [1]


async def test_a_leader_without_the_api_server_stops_before_its_lease_is_over(
    apart: World, replicas: Replicas, kubeconfig: str, tmp_path: Path
) -> None:
    async with wire_to(Path(kubeconfig), tmp_path) as (wire, through):
        cut_off = await replicas.leader("first", kubeconfig=through)
        await _running(apart, "camera", "broken")
        standby = replicas.new("second")
        await standby.start()
        wire.hold()
        # A fact that it still tries to write, and that only the next leader can.
        apart.worker().job("broken").failed(ErrorCode.NETWORK, "cut off")
        assert await cut_off.ended(60) == 1
        assert any(record.get("why") == "the Lease was lost" for record in cut_off.records())
        await eventually(lambda: standby.leads, "the other one leads")
        await apart.until("broken", "INPROGRESS", epoch=2)
        written = apart.history("broken")
        lease = await apart.api.get(LEASES, apart.namespace, "videofleet-operator") or {}
        # What was on its way when the wire was held arrives now; nothing of it may count.
        wire.release()
        await apart.job("later")
        await apart.until("later", "INPROGRESS")
    now = await apart.api.get(LEASES, apart.namespace, "videofleet-operator") or {}
    assert now["spec"]["holderIdentity"] == lease["spec"]["holderIdentity"]
    assert now["spec"]["holderIdentity"].startswith("second")
    assert apart.history("broken") == written
    assert apart.phases("broken") == ["STARTING", "INPROGRESS", "INTERRUPTED", "AWAITING", "STARTING", "INPROGRESS"]
    assert apart.scripts.seen["camera"] == [1]
