"""Operators that die, hand over and come back: nothing is assigned anew, and nothing that happened is lost."""

import asyncio

from tests.cluster.operator.conftest import Replicas
from tests.cluster.operator.harness import JOBS, LEASE, World, eventually
from tests.support.simulated_worker import end, first_frame
from videofleet_kube.resources import LEASES, PODS


async def _running(world: World, *names: str) -> None:
    """A worker, and these jobs on it."""
    await world.pool()
    await world.until_workers(1)
    for name in names:
        await world.job(name)
    for name in names:
        await world.until(name, "INPROGRESS")


async def test_killed_and_started_again_it_goes_on_from_what_is_written(apart: World, replicas: Replicas) -> None:
    operator = await replicas.leader()
    apart.scripts["file"] = [[first_frame()]]
    await _running(apart, "camera", "removed", "edited")
    await apart.job("file", singlePass=True)
    await apart.until("file", "INPROGRESS")
    writes = len(apart.history("camera"))
    await replicas.kill(operator)
    worker = apart.worker()
    worker.job("file").ended()
    await apart.delete(JOBS, "removed")
    await apart.edit(JOBS, "edited", source={"url": "rtsp://camera.example/2"})
    await apart.job("new")
    await operator.start()
    await apart.until("file", "COMPLETED", "Ended", epoch=1)
    await apart.until("edited", "INPROGRESS", epoch=2)
    await apart.until("new", "INPROGRESS", epoch=1)
    await eventually(lambda: sorted(worker.assigned) == ["camera", "edited", "new"], "the worker's set is right")
    assert apart.scripts.seen["camera"] == [1]
    assert len(apart.history("camera")) == writes, "nothing is written of what did not change"
    terms = [each.term for each in worker.sets]
    assert terms == sorted(terms)
    assert terms[-1] > terms[0], "each acquisition is a higher term"
    assert not worker.conflicts


async def test_killed_before_the_worker_heard_of_a_job(apart: World, replicas: Replicas) -> None:
    """STARTING is written and the set never came: the next leader gives the same epoch out, as soon as it can."""
    operator = await replicas.leader()
    await apart.secret("login", username="viewer", password="correct-horse-battery")
    await _running(apart)
    worker = apart.worker()
    worker.go_silent()
    await apart.job("camera", source={"url": "rtsp://camera.example/1", "credentialsSecretRef": {"name": "login"}})
    await apart.until("camera", "STARTING")
    await replicas.kill(operator)
    worker.speak()
    assert not worker.assigned
    await operator.start()
    await apart.until("camera", "INPROGRESS", epoch=1)
    assert worker.spec("camera").spec.source.password == "correct-horse-battery"
    assert apart.phases("camera") == ["STARTING", "INPROGRESS"]


async def test_a_worker_that_went_while_no_operator_was_there(apart: World, replicas: Replicas) -> None:
    operator = await replicas.leader()
    await _running(apart, "camera", "crashed")
    await replicas.kill(operator)
    apart.worker().crash()
    await apart.api.delete(PODS, apart.namespace, apart.worker().name)
    await eventually(lambda: not apart.workers, "the pod is gone")
    await operator.start()
    await apart.until("camera", "INPROGRESS", epoch=2)
    assert ("DISCONNECTED", "WorkerGone", 1) in [seen.brief for seen in apart.history("camera")]


async def test_one_of_two_leads_and_the_other_takes_over(apart: World, replicas: Replicas) -> None:
    first, second = replicas.new("first"), replicas.new("second")
    first.launch()
    second.launch()
    await first.until_ready()
    await second.until_ready()
    await eventually(lambda: first.leads or second.leads, "one of them leads")
    one, two = (first, second) if first.leads else (second, first)
    await _running(apart, "camera")
    # The one that stands by listens to the workers too, so that it takes over warm.
    metric = 'videofleet_workers{state="connected"}'
    await eventually(lambda: one.metrics().get(metric) == two.metrics().get(metric) == 1, "both listen to the worker")
    await apart.job("file", singlePass=True)
    await apart.until("file", "INPROGRESS")
    await eventually(lambda: one.leads, "it still leads")
    assert not two.leads
    one.kill()
    await apart.go_on("file", end())
    await eventually(lambda: two.leads, "the other one leads")
    await apart.until("file", "COMPLETED", epoch=1)
    await apart.job("later")
    await apart.until("later", "INPROGRESS")
    assert apart.phases("camera") == ["STARTING", "INPROGRESS"]
    assert apart.scripts.seen["camera"] == [1]
    # The first one comes back and stands by; then the other hands over in good order.
    await one.start()
    assert not one.leads
    assert await two.terminate() == 0
    await eventually(lambda: one.leads, "the first one leads again")
    lease = await apart.api.get(LEASES, apart.namespace, LEASE) or {}
    assert lease["spec"]["leaseTransitions"] == 3
    await apart.job("last")
    await apart.until("last", "INPROGRESS")
    assert [each.term for each in apart.worker().sets] == sorted(each.term for each in apart.worker().sets)


async def test_a_leader_whose_lease_is_taken_ends_and_writes_nothing_more(apart: World, replicas: Replicas) -> None:
    operator = await replicas.leader()
    await _running(apart, "camera")
    taken = {"holderIdentity": "somebody-else", "leaseTransitions": 40, "renewTime": "2100-01-01T00:00:00.000000Z"}
    await apart.api.patch(LEASES, apart.namespace, LEASE, {"spec": {**taken, "leaseDurationSeconds": 3}})
    assert await operator.ended() == 1
    assert any(record.get("why") == "the Lease was lost" for record in operator.records())
    await apart.job("later")
    await eventually(lambda: apart.history("later"), "the watch tells of the job")
    await asyncio.sleep(1)
    assert [seen.status for seen in apart.history("later")] == [{}]
    # It waits its turn, and its term is above the other one's.
    operator.launch()
    await apart.until("later", "INPROGRESS")
    assert apart.worker().sets[-1].term == 41
    # The Lease is deleted while no operator runs: its count begins anew, and the worker has seen a higher term.
    assert await operator.terminate() == 0
    await apart.api.delete(LEASES, apart.namespace, LEASE)
    await operator.start()
    await apart.job("last")
    await apart.until("last", "INPROGRESS")
    assert apart.phases("camera") == ["STARTING", "INPROGRESS"]


async def test_settings_that_cannot_be_used_end_it_with_a_sentence(apart: World, replicas: Replicas) -> None:
    operator = replicas.new(lease_duration="soon", log_level="LOUD")
    operator.launch()
    assert await operator.ended() == 2
    assert "VIDEOFLEET_LEASE_DURATION='soon'" in operator.log()
    assert "VIDEOFLEET_LOG_LEVEL='LOUD'" in operator.log()
