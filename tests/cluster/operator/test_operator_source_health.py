"""A source whose frames are not well: told of in status and Events, and nothing else happens."""

from typing import Any

from tests.cluster.operator.harness import World
from tests.support.kubectl import conditions
from tests.support.simulated_worker import first_frame, source_is
from videofleet_api.codes import SourceHealth


async def test_a_frozen_camera_is_told_of_and_goes_on(world: World) -> None:
    world.scripts["camera"] = [[source_is(SourceHealth.HEALTHY), first_frame()]]
    flapping = [
        step for n in range(20) for step in (source_is(SourceHealth.BLACK, 0.1), source_is(SourceHealth.HEALTHY, 0.1))
    ]
    await world.pool()
    await world.until_workers(1)
    await world.job("camera")
    first = await world.until("camera", "INPROGRESS")
    assert _healthy(first)["reason"] == "Healthy", "in the one write of the first frame"
    frozen = source_is(SourceHealth.FROZEN)
    await world.go_on("camera", frozen, *flapping, frozen)
    # A status that was just written is not written again for half a minute.
    event = await world.until_event("camera", "Frozen", timeout=90)
    assert (event["type"], event["message"]) == ("Warning", "so it is: Frozen")
    told = world.last("camera")
    assert (_healthy(told)["status"], _healthy(told)["reason"]) == ("False", "Frozen")
    assert {kind: status for kind, status in conditions(told).items() if kind != "SourceHealthy"} == {
        kind: status for kind, status in conditions(first).items() if kind != "SourceHealthy"
    }
    assert [seen.brief for seen in world.history("camera")][-2:] == [("INPROGRESS", "Running", 1)] * 2
    assert len(world.history("camera")) <= 4, "what came and went meanwhile was not written"
    assert world.scripts.seen["camera"] == [1]


def _healthy(status: dict[str, Any]) -> dict[str, Any]:
    (found,) = (each for each in status["conditions"] if each["type"] == "SourceHealthy")
    return dict(found)
