"""Schedules: jobs that sleep, wake, and have a time zone that nobody knows."""

from datetime import UTC, datetime, timedelta

from tests.cluster.operator.harness import JOBS, World
from tests.support.kubectl import conditions


def window(begins: timedelta, ends: timedelta) -> dict[str, str]:
    """Hours of every day around now, in UTC."""
    now = datetime.now(UTC)
    return {"from": f"{now + begins:%H:%M}", "to": f"{now + ends:%H:%M}", "timeZone": "UTC"}


def hours(begins: int, ends: int) -> list[dict[str, str]]:
    return [window(timedelta(hours=begins), timedelta(hours=ends))]


async def test_a_job_runs_inside_its_schedule_only(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    await world.job("camera", schedule=hours(2, 4))
    asleep = await world.until("camera", "DISABLED", "Schedule")
    assert asleep["message"].startswith("outside spec.schedule, which opens at ")
    assert conditions(asleep)["Reconciling"] == "False"
    await world.edit(JOBS, "camera", enabled=False)
    await world.until("camera", "DISABLED", "Disabled")
    await world.edit(JOBS, "camera", enabled=True)
    await world.until("camera", "DISABLED", "Schedule")
    assert world.phases("camera") == ["DISABLED"]
    await world.edit(JOBS, "camera", schedule=hours(-2, 2))
    await world.until("camera", "INPROGRESS", epoch=1)
    await world.edit(JOBS, "camera", schedule=hours(2, 4))
    await world.until("camera", "DISABLED", "Schedule")
    await world.edit(JOBS, "camera", schedule=None)
    await world.until("camera", "INPROGRESS", epoch=2, run=1)


async def test_a_window_closes_by_itself(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    # Minutes count: there are 40 seconds at least to start in, and 100 at most until it closes.
    await world.job("camera", schedule=[window(timedelta(hours=-1), timedelta(seconds=100))])
    await world.until("camera", "INPROGRESS")
    await world.until("camera", "DISABLED", "Schedule", timeout=190)
    assert world.scripts.seen["camera"] == [1]


async def test_an_unknown_time_zone_needs_a_user_and_heals(world: World) -> None:
    await world.pool()
    await world.until_workers(1)
    night = {"days": ["mon"], "from": "22:00", "to": "06:00"}
    await world.job("camera", schedule=[{**night, "timeZone": "Europe/Berln"}])
    status = await world.until("camera", "AWAITING", "UnknownTimeZone")
    assert "spec.schedule[0].timeZone 'Europe/Berln'" in status["message"]
    assert "Europe/Berlin" in status["message"]
    assert conditions(status)["Stalled"] == "True"
    await world.edit(JOBS, "camera", schedule=[{"from": "00:00", "to": "24:00", "timeZone": "Europe/Berlin"}])
    await world.until("camera", "INPROGRESS")
