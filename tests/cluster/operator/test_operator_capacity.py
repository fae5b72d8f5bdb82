"""Workers that hold less than their pool says: their models run on the processor instead of a GPU."""

from tests.cluster.operator.harness import POOLS, World, eventually
from tests.support.simulated_worker import SimulatedWorker
from videofleet_api.protocol import CapacityHint

NAMES = ("a", "b", "c", "d")
WHY = "takes 1 of 4 slots: it is simulated; it holds 1 stream"
GPU = {"type": "nvidia"}


async def _full(world: World) -> SimulatedWorker:
    """A worker that is full with streams."""
    await world.until_workers(1)
    for name in NAMES:
        await world.job(name)
        await world.until(name, "INPROGRESS")
    return world.worker()


def _lose_the_gpu(worker: SimulatedWorker) -> None:
    worker.hint = CapacityHint(slots=1, message="1 stream")
    worker.crash()


def _running(world: World) -> int:
    return sum(world.last(name)["phase"] == "INPROGRESS" for name in NAMES)


async def test_what_a_worker_without_its_gpu_does_not_hold_goes_to_another(world: World) -> None:
    await world.pool(minWorkers=1, maxWorkers=2, capacityPerWorker=4, accelerator=GPU)
    first = await _full(world)
    _lose_the_gpu(first)
    await eventually(lambda: len(world.workers) == 2, "another worker is made for the surplus")

    def spread() -> bool:
        held = {name: len(worker.assigned) for name, worker in world.workers.items()}
        return held[first.name] <= 1 and sum(held.values()) == 4 and _running(world) == 4

    await eventually(spread, "one stream at the most is where the GPU was, the others run elsewhere")

    async def told() -> bool:
        status = await world.status(world.pool_name, POOLS)
        slots = {"total": 5, "used": 4, "found": 1}
        return (status.get("limited"), status["slots"]) == (f"worker {first.name} {WHY}", slots)

    await eventually(told, "the pool tells why, and what it has")


async def test_what_fits_nowhere_says_why_and_runs_when_the_pool_allows_it(world: World) -> None:
    await world.pool(capacityPerWorker=4, accelerator=GPU)
    worker = await _full(world)
    _lose_the_gpu(worker)

    def waiting() -> list[str]:
        told = [world.last(name) for name in NAMES]
        return [each["message"] for each in told if (each["phase"], each.get("reason")) == ("AWAITING", "WorkersFull")]

    await eventually(lambda: len(waiting()) == 3 and _running(world) == 1, "one runs, three wait")
    assert set(waiting()) == {f"all 1 worker of 1 matching pool is full (1 of 1 slots); worker {worker.name} {WHY}"}

    await world.edit(POOLS, world.pool_name, capacityHints="ignore")
    await eventually(lambda: _running(world) == 4, "the pool lets it take all")

    async def unlimited() -> bool:
        return "limited" not in await world.status(world.pool_name, POOLS)

    await eventually(unlimited, "the pool tells of no limit any more")

    await world.edit(POOLS, world.pool_name, capacityHints="always")
    await eventually(lambda: _running(world) == 1, "what is too much gives way again")
    left = [seen for name in NAMES for seen in world.history(name) if seen.status.get("reason") == "Shed"]
    assert len(left) == 3
    assert all("may hold 1 slots now" in seen.status["message"] for seen in left)
