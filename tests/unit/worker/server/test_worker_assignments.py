"""Assignments and events over the wire."""

import asyncio
from contextlib import aclosing

from tests.support.cameras import CameraSimulator
from tests.support.worker_client import WorkerClient, WorkerProcess, file_job
from videofleet_api.protocol import HEARTBEAT_SECONDS, Heartbeat, Inventory, JobEvent, JobState

STARTED = {JobState.RUNNING}


async def test_an_older_set_and_one_for_another_instance_are_refused(client: WorkerClient) -> None:
    assert (await client.assign(number=5)).status == 200
    older = await client.assign(number=4)
    assert (older.status, older.body["number"], older.body["term"]) == (409, 5, client.term)
    stranger = await client.assign(number=9, instance="another")
    assert (stranger.status, stranger.body["instance"]) == (409, await client.instance())
    assert (await client.assign(number=5)).status == 200


async def test_a_spec_that_is_missing_is_asked_for(client: WorkerClient, uid: str) -> None:
    entry = file_job("http://127.0.0.1:9/none.mp4", uid).model_copy(update={"spec": None})
    answer = await client.assign(entry)
    assert (answer.status, answer.body) == (200, {"need": [uid]})


async def test_events_begin_with_the_inventory_and_go_on_where_they_were_left(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, maxFrames=3))
    await client.until(uid, {JobState.ENDED})
    async with aclosing(client.events()) as events:
        inventory = await anext(events)
    assert isinstance(inventory, Inventory)
    assert (inventory.term, inventory.number) == (client.term, client.number)
    assert [(report.uid, report.state) for report in inventory.reports] == [(uid, JobState.ENDED)]
    async with aclosing(client.events(f"{inventory.instance}:{inventory.sequence - 1}")) as events:
        first = await anext(events)
    assert isinstance(first, JobEvent)
    assert (first.sequence, first.report.state) == (inventory.sequence, JobState.ENDED)
    async with aclosing(client.events(f"another:{inventory.sequence}")) as events:
        assert isinstance(await anext(events), Inventory)


async def test_a_terminal_fact_stays_until_a_set_omits_it(
    client: WorkerClient, simulator: CameraSimulator, uid: str
) -> None:
    entry = file_job(simulator.http("/vtest.mp4"), uid, maxFrames=2)
    await client.assign(entry)
    await client.until(uid, {JobState.ENDED})
    await client.assign(entry.model_copy(update={"spec": None}))
    assert [report.state for report in (await client.until(uid, {JobState.ENDED}))] == [JobState.ENDED]
    await client.assign()
    async with aclosing(client.events()) as events:
        inventory = await anext(events)
    assert isinstance(inventory, Inventory)
    assert inventory.reports == []


async def test_a_heartbeat_comes_at_least_every_three_seconds(client: WorkerClient) -> None:
    async with aclosing(client.events()) as events:
        await anext(events)
        for _ in range(2):
            assert isinstance(await asyncio.wait_for(anext(events), 60), Heartbeat)
    assert HEARTBEAT_SECONDS <= 3


async def test_another_epoch_starts_the_job_anew_and_omitting_it_stops_it(
    client: WorkerClient, shared_worker: WorkerProcess, simulator: CameraSimulator, uid: str
) -> None:
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid))
    await client.until(uid, STARTED)
    await client.assign(file_job(simulator.http("/vtest.mp4"), uid, epoch=2))
    reports = await client.until(uid, STARTED)
    assert {report.epoch for report in reports} == {2}
    # The first one had closed its log before the second opened it: neither met the other there.
    told = [record["message"] for record in shared_worker.records() if record.get("uid") == uid]
    assert not any("superseded" in message for message in told)
    await client.assign()
    assert (await client.get(f"/v1/jobs/{uid}/chunks")).status == 404
