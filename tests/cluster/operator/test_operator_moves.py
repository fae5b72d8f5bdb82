"""Streams that leave a worker: another one has its first frame before they stop, whoever leads meanwhile."""

from tests.cluster.operator.conftest import Replicas
from tests.cluster.operator.harness import JOBS, POOLS, World, eventually
from tests.support.kubectl import conditions
from tests.support.simulated_worker import SimulatedWorker, first_frame
from videofleet_kube.resources import PODS, Json

HELD_BACK = [[first_frame()], []]
"""The first epoch has a frame at once, later ones wait for the test."""


async def two_workers(world: World) -> None:
    await world.pool(minWorkers=2, maxWorkers=2)
    await world.until_workers(2)


async def runs(world: World, name: str = "camera", **spec: object) -> SimulatedWorker:
    """A job that processes frames, and its worker."""
    await world.job(name, **spec)
    return world.worker((await world.until(name, "INPROGRESS"))["worker"]["name"])


async def begins_to_move(world: World, source: SimulatedWorker, name: str = "camera") -> SimulatedWorker:
    """The worker that gets the job ready."""

    def moves() -> Json | None:
        return world.last(name).get("move")

    move = await eventually(moves, f"{name} moves")
    target = world.worker(move["worker"]["name"])
    assert target is not source
    await eventually(lambda: name in target.assigned, "the other worker has heard of it")
    assert target.assigned[name].epoch == move["epoch"]
    assert target.assigned[name].takes_over
    assert name in source.assigned, "its own goes on"
    return target


async def released(world: World, worker: SimulatedWorker) -> None:
    """It has heard that it runs nothing any more, or has ended: its pod may be taken away before it hears of that."""
    await eventually(lambda: not worker.assigned or worker not in world.workers.values(), "it is released")


async def has_moved(world: World, source: SimulatedWorker, target: SimulatedWorker) -> None:
    status = await world.until("camera", "INPROGRESS", epoch=2)
    assert status["worker"]["name"] == target.name
    assert "move" not in status
    await released(world, source)
    assert world.phases("camera") == ["STARTING", "INPROGRESS"]


async def test_a_deleted_pod_keeps_its_stream_until_the_next_one_has_its_first_frame(world: World) -> None:
    world.scripts["camera"] = HELD_BACK
    await world.pool()
    await world.until_workers(1)
    source = await runs(world)
    await world.terminate(source.name)
    target = await begins_to_move(world, source)
    assert world.last("camera")["worker"]["name"] == source.name
    await eventually(lambda: source.assigned["camera"].leaves, "its worker has heard that it leaves")
    target.job("camera").running(1_800_000_000.0)
    await has_moved(world, source, target)
    await eventually(lambda: list(world.workers.values()) == [target], "the emptied worker ends")
    assert world.scripts.seen["camera"] == [1, 2]


async def test_a_drained_worker_is_emptied_and_gets_nothing(world: World) -> None:
    await two_workers(world)
    source = await runs(world)
    await world.annotate(PODS, source.name, drain="true")
    status = await world.until("camera", "INPROGRESS", epoch=2)
    assert status["worker"]["name"] != source.name
    await world.job("later")
    later = await world.until("later", "INPROGRESS")
    assert later["worker"]["name"] != source.name
    assert source.name not in {each["name"] for each in (later["worker"], status["worker"])}


async def test_a_drained_pool_gives_its_streams_to_another(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    source = await runs(world)
    await world.pool("other-pool")
    await world.until_workers(1, "other-pool")
    await world.annotate(POOLS, world.pool_name, drain="true")
    status = await world.until("camera", "INPROGRESS", epoch=2)
    assert status["worker"]["pool"] == f"{world.namespace}/other-pool"
    await released(world, source)
    await world.job("later", workerSelector={"matchLabels": {}})
    later = await world.until("later", "INPROGRESS")
    assert later["worker"]["pool"] == f"{world.namespace}/other-pool"


async def test_without_overlap_where_the_pool_says_so(world: World) -> None:
    await world.pool(minWorkers=2, maxWorkers=2, drain={"mode": "stop"})
    await world.until_workers(2)
    source = await runs(world)
    await world.terminate(source.name)
    await world.until("camera", "INPROGRESS", epoch=2)
    assert world.phases("camera") == ["STARTING", "INPROGRESS", "AWAITING", "STARTING", "INPROGRESS"]
    assert ("AWAITING", "Draining", 1) in [seen.brief for seen in world.history("camera")]


async def test_a_target_that_dies_costs_nothing_but_its_epoch(world: World) -> None:
    world.scripts["camera"] = [[first_frame()], [], [first_frame()]]
    await two_workers(world)
    source = await runs(world)
    await world.annotate(PODS, source.name, drain="true")
    target = await begins_to_move(world, source)
    target.crash()
    await eventually(lambda: "move" not in world.last("camera"), "the move is given up")
    status = world.last("camera")
    assert (status["phase"], status["epoch"], status["spentEpoch"]) == ("INPROGRESS", 1, 2)
    assert "nextMoveTime" in status
    # Where to is open: the one that died is passed over while there is another, and a drained worker is replaced.
    status = await world.until("camera", "INPROGRESS", epoch=3)
    assert status["worker"]["name"] != source.name
    await released(world, source)
    assert world.phases("camera") == ["STARTING", "INPROGRESS"]


async def test_the_own_worker_that_dies_is_followed_by_the_one_that_gets_ready(world: World) -> None:
    world.scripts["camera"] = HELD_BACK
    await two_workers(world)
    source = await runs(world)
    await world.annotate(PODS, source.name, drain="true")
    target = await begins_to_move(world, source)
    source.crash()
    await world.until("camera", "STARTING", epoch=2)
    target.job("camera").running(1_800_000_000.0)
    status = await world.until("camera", "INPROGRESS", epoch=2)
    assert status["worker"]["name"] == target.name
    assert world.phases("camera") == ["STARTING", "INPROGRESS", "DISCONNECTED", "STARTING", "INPROGRESS"]
    assert world.scripts.seen["camera"] == [1, 2], "what it had prepared was not begun anew"


async def test_disabled_deleted_or_edited_both_stop(world: World) -> None:
    for name in ("disabled", "deleted", "edited"):
        world.scripts[name] = [[first_frame()], [], [first_frame()]]
    await two_workers(world)
    own = {name: await runs(world, name) for name in ("disabled", "deleted", "edited")}
    for worker in {worker.name for worker in own.values()}:
        await world.annotate(PODS, worker, drain="true")
    await world.pool("other-pool")
    for name, worker in own.items():
        await begins_to_move(world, worker, name)
    await world.edit(JOBS, "disabled", enabled=False)
    await world.delete(JOBS, "deleted")
    await world.edit(JOBS, "edited", source={"url": "rtsp://camera.example/2"})
    await world.until("disabled", "DISABLED")
    edited = await world.until("edited", "INPROGRESS", epoch=3)
    assert edited["run"] == 2

    def left() -> list[str]:
        return sorted(name for worker in world.workers.values() for name in worker.assigned)

    await eventually(lambda: left() == ["edited"], "nobody runs what is over")


async def test_a_leader_killed_in_the_middle_is_followed_by_one_that_goes_on(apart: World, replicas: Replicas) -> None:
    operator = await replicas.leader()
    apart.scripts["camera"] = HELD_BACK
    await two_workers(apart)
    source = await runs(apart)
    await apart.annotate(PODS, source.name, drain="true")
    target = await begins_to_move(apart, source)
    await replicas.kill(operator)
    target.job("camera").running(1_800_000_000.0)
    writes = len(apart.history("camera"))
    await operator.start()
    await has_moved(apart, source, target)
    assert len(apart.history("camera")) == writes + 1, "one write ends the move"
    assert apart.scripts.seen["camera"] == [1, 2]


async def test_a_leader_killed_before_the_other_worker_heard_of_it(apart: World, replicas: Replicas) -> None:
    operator = await replicas.leader()
    await two_workers(apart)
    source = await runs(apart)
    (target,) = [worker for worker in apart.workers.values() if worker is not source]
    target.go_silent()
    await apart.annotate(PODS, source.name, drain="true")
    await eventually(lambda: "move" in apart.last("camera"), "the move is written")
    await replicas.kill(operator)
    target.speak()
    assert not target.assigned
    await operator.start()
    await has_moved(apart, source, target)


async def test_a_pool_is_updated_worker_by_worker_and_no_stream_stops(world: World) -> None:
    await two_workers(world)
    names = [f"camera-{number}" for number in range(4)]
    for name in names:
        await runs(world, name)
    before = {pod["metadata"]["uid"] for pod in await world.pods()}
    most = len(before)
    await world.edit(POOLS, world.pool_name, image="localhost/videofleet-worker:next")

    async def updated() -> bool:
        nonlocal most
        pods = await world.pods()
        most = max(most, len(pods))
        return len(pods) == 2 and not before & {pod["metadata"]["uid"] for pod in pods}

    await eventually(updated, "both workers are new")
    assert most == 3, "one more than usual, and never two"
    await world.until_workers(2)
    for name in names:
        status = await world.until(name, "INPROGRESS")
        assert status["epoch"] >= 2
        assert world.phases(name) == ["STARTING", "INPROGRESS"]

    async def settled() -> bool:
        status = await world.status(world.pool_name, POOLS)
        well = conditions(status) == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}
        return well and bool(status["workers"] == {"desired": 2, "ready": 2, "draining": 0, "failed": 0})

    await eventually(settled, "the pool tells that the update is over")
