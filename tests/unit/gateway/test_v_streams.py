"""Streams of tasks: the bytes of the log from any offset, before, while and after a worker writes it."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from httpx_sse import aconnect_sse

from tests.support.archives import ended, ends_of_events, mark, terminal
from tests.support.gateway import KEY, JobApi, Served, served_over
from tests.unit.gateway.v_world import TASKS, WorkersLog, documents, job_of, submitted, until
from videofleet_api.outputs import ArchiveDetail
from videofleet_archive.sweeping import sweep, write_retention
from videofleet_archive.writer import SealPolicy
from videofleet_gateway.dialects.v.tokens import LIFETIME, Tokens
from videofleet_gateway.errors import GatewayError
from videofleet_gateway.store.keys import Project


async def stream_of(client: httpx.AsyncClient, task: str, **options: object) -> bytes:
    """The whole body of a stream."""
    answer = await client.get(f"{TASKS}/{task}/stream", **options)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.acceptance("V20", "V49", "V50", "V65", "V72", "V102")
async def test_a_stream_is_the_log_byte_by_byte(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        await log.frames(0, 1, 2)
        whole = await log.finish(2)
    answer = await client.get(f"{TASKS}/{task}/stream")
    assert answer.content == whole
    assert documents(whole)[-1] == "[DONE]"
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in answer.headers
    assert b"retry:" not in whole


@pytest.mark.acceptance("V3", "V20", "V102", "X10")
async def test_the_stream_of_a_pending_task_begins_at_once_and_waits(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with (
        WorkersLog(gateway, job_of(api, task)) as log,
        asyncio.timeout(120),
        client.stream("GET", f"{TASKS}/{task}/stream") as answer,
    ):
        assert answer.status_code == 200
        head = await client.head(f"{TASKS}/{task}/stream")
        assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream")
        parts = answer.aiter_raw()
        coming = asyncio.ensure_future(anext(parts))
        done, _ = await asyncio.wait({coming}, timeout=0.3)
        assert not done
        first = await log.frames(0)
        got = await coming
        while len(got) < len(first):
            got += await anext(parts)
        assert got == first
        await log.frames(1)
        whole = await log.finish(1)
        async for part in parts:
            got += part
        assert got == whole
    assert (await client.head(f"{TASKS}/{task}/stream")).headers["content-type"] == "text/event-stream"


@pytest.mark.acceptance("V68", "V69", "V70", "V71", "V72", "A13")
async def test_any_offset_is_taken_to_the_byte(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        await log.frames(0, 1)
        whole = await log.finish(1)
    for offset in (0, 1, len(whole) // 2, *ends_of_events(whole)[:-1], len(whole) - 1):
        assert await stream_of(client, task, params={"offset": offset}) == whole[offset:]
        assert await stream_of(client, task, headers={"Last-Event-ID": str(offset)}) == whole[offset:]


@pytest.mark.acceptance("A11", "V68")
async def test_the_header_wins_over_the_address(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        await log.frames(0)
        whole = await log.finish(0)
    asked = {"params": {"offset": 5}, "headers": {"Last-Event-ID": "17"}}
    assert await stream_of(client, task, **asked) == whole[17:]
    assert await stream_of(client, task, params={"offset": 5}, headers={"Last-Event-ID": ""}) == whole[5:]


@pytest.mark.acceptance("A13")
async def test_offsets_at_and_behind_the_end(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        size = len(await log.frames(0))
        waiting = asyncio.create_task(stream_of(client, task, params={"offset": size + 40}))
        at_the_end = asyncio.create_task(stream_of(client, task, params={"offset": size}))
        await log.frames(1)
        whole = await log.finish(1)
        async with asyncio.timeout(120):
            assert await at_the_end == whole[size:]
            assert await waiting == whole[size + 40 :]
    over = await client.get(f"{TASKS}/{task}/stream", params={"offset": len(whole)})
    assert (over.status_code, over.content) == (204, b"")
    beyond = await client.get(f"{TASKS}/{task}/stream", params={"offset": len(whole) + 1})
    assert (beyond.status_code, beyond.json()["error"]["code"]) == (416, "range_not_satisfiable")
    for bad in ("-1", "x", "1.5", " 1", "9" * 19):
        answer = await client.get(f"{TASKS}/{task}/stream", params={"offset": bad})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "offset")


@pytest.mark.acceptance("A12")
async def test_heartbeats_come_only_where_they_are_asked_for_and_count_nothing(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        await log.frames(0)
        reading = asyncio.create_task(stream_of(client, task, params={"heartbeat": "1"}))
        done, _ = await asyncio.wait({reading}, timeout=1.6)
        assert not done
        whole = await log.finish(0)
        async with asyncio.timeout(120):
            got = await reading
    lines = got.split(b"\n")
    assert lines.count(b":") >= 1
    assert b"\n".join(line for line in lines if line != b":") == whole
    assert (await client.get(f"{TASKS}/{task}/stream", params={"heartbeat": "0"})).status_code == 400


@pytest.mark.acceptance("A10", "V68", "V71")
async def test_a_client_that_knows_only_ids_goes_on_where_it_was(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        await log.frames(0, 1, 2)
        await log.finish(2)
    seen, last = [], ""
    async with aconnect_sse(client, "GET", f"{TASKS}/{task}/stream") as source:
        async for event in source.aiter_sse():
            seen.append(event.data)
            last = event.id
            if len(seen) == 2:
                break
    async with aconnect_sse(client, "GET", f"{TASKS}/{task}/stream", headers={"Last-Event-ID": last}) as source:
        seen += [event.data async for event in source.aiter_sse()]
    assert len(seen) == 5
    assert seen[-1] == "[DONE]"
    assert len(set(seen)) == 5


@pytest.mark.acceptance("V72", "V73")
async def test_another_replica_goes_on_with_the_same_bytes(gateway: Served, api: JobApi, tmp_path: Path) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        early = await log.frames(0, 1)
        async with served_over(api, tmp_path) as other:
            there = other.client()
            reading = asyncio.create_task(stream_of(there, task, params={"offset": len(early)}))
            await log.frames(2)
            whole = await log.finish(2)
            async with asyncio.timeout(120):
                assert early + await reading == whole
                assert await stream_of(there, task) == await stream_of(client, task) == whole


@pytest.mark.acceptance("V105")
async def test_streams_end_when_a_replica_drains_and_not_before_it_is_unready(api: JobApi, tmp_path: Path) -> None:
    async with served_over(api, tmp_path, drain_seconds=5) as one:
        client, plain = one.client(), one.client(None, "plain_port")
        task = await submitted(client)
        async with WorkersLog(one, job_of(api, task)) as log:
            part = await log.frames(0)
            reading = asyncio.create_task(stream_of(client, task))
            await until(lambda: _streams(one), "the stream is open")
            one.stop.set()

            async def unready() -> bool:
                return (await plain.get("/readyz")).status_code == 503

            await until(unready, "it is not ready any more")
            assert not reading.done()
            async with asyncio.timeout(120):
                assert await reading == part


async def _streams(one: Served) -> bool:
    metrics = (await one.client(None, "plain_port").get("/metrics")).text
    return 'videofleet_gateway_open_streams{dialect="v"} 1.0' in metrics


@pytest.mark.acceptance("V10")
async def test_open_streams_are_limited_and_not_counted_as_requests(api: JobApi, tmp_path: Path) -> None:
    async with served_over(api, tmp_path, v_open_streams=1, v_requests_per_minute=1) as one:
        client = one.client()
        task = await submitted(client)
        async with client.stream("GET", f"{TASKS}/{task}/stream") as answer:
            assert answer.status_code == 200
            refused = await client.get(f"{TASKS}/{task}/stream")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")

        async def again() -> bool:
            async with client.stream("GET", f"{TASKS}/{task}/stream") as answer:
                return answer.status_code == 200

        await until(again, "there is room again")


@pytest.mark.acceptance("V107")
async def test_what_is_kept_no_longer_is_gone(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    over = {"phase": "COMPLETED", "run": 1, "epoch": 1, "finished": True}
    api.tell(job_of(api, task), **over, statistics={"processedFrames": 9})

    async def gone() -> bool:
        answers = [await client.get(f"{TASKS}/{task}/{what}") for what in ("stream", "results")]
        return [answer.status_code for answer in answers] == [410, 410]

    await until(gone, "stream and results are gone")


@pytest.mark.acceptance("V107")
async def test_of_events_that_retention_has_taken_the_answer_says_where_to_go_on(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    url, policy = f"{TASKS}/{task}/stream", SealPolicy(0.0, segment_bytes=1, detail=ArchiveDetail.TRACKS)
    async with WorkersLog(gateway, job_of(api, task), policy=policy) as log:
        await log.begin()
        assert log.writer is not None
        for frame in range(5):
            await log.writer.append(ended(frame, frame), mark(frame, frame, live=True))
        await log.writer.finish(terminal(4), mark(4, 4, live=True))
        whole, store = log.written, log.threads.store
        write_retention(store, log.prefix, 3600.0)
        # As if the first ones had been written hours ago.
        for one in store.listing(f"{log.prefix}/chunks")[:3]:
            os.utime(gateway.archive / one.key, (1000, 1000))
        assert sweep(store, [log.prefix], time.time()).removed == 0
        oldest = len(whole) - len(log.written)

    refused = await client.get(url, params={"offset": 0})
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        410,
        f"the results before offset {oldest} are kept no longer; go on from there",
    )
    assert (await client.get(url, params={"offset": oldest - 1})).status_code == 410
    for offset in ({}, {"offset": oldest}):
        assert (await client.get(url, params=offset)).content == whole[oldest:]


async def test_a_deleted_job_ends_its_streams(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    job = job_of(api, task)
    async with WorkersLog(gateway, job) as log:
        part = await log.frames(0)
        reading = asyncio.create_task(stream_of(client, task))
        await until(lambda: _streams(gateway), "the stream is open")
        api.remove("apis/videofleet.io/v1alpha1/videojobs", job["metadata"]["namespace"], job["metadata"]["name"])
        async with asyncio.timeout(120):
            assert await reading == part


@pytest.mark.acceptance("X10")
async def test_a_client_of_http_1_0_reads_to_the_end_of_the_connection(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        await log.frames(0)
        whole = await log.finish(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.gateway.ports["v_port"].port)
    head = f"GET {TASKS}/{task}/stream HTTP/1.0\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.read(), 120)
    writer.close()
    assert answer.partition(b"\r\n\r\n")[2] == whole


@pytest.mark.acceptance("V103")
async def test_a_token_opens_one_stream_to_who_sends_no_header(gateway: Served, api: JobApi) -> None:
    client, page = gateway.client(), gateway.client(None)
    task, other = await submitted(client), await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        await log.frames(0)
        whole = await log.finish(0)
    issued = (await client.post(f"{TASKS}/{task}/token")).json()
    token = {"access_token": issued["access_token"]}
    assert await stream_of(page, task, params=token) == whole
    assert (await page.get(f"{TASKS}/{other}/stream", params=token)).status_code == 401
    assert (await page.get(f"{TASKS}/{task}", params=token)).status_code == 401
    assert (await page.post(f"{TASKS}/{task}/token", params=token)).status_code == 401
    good = issued["access_token"]
    for bad in ("", "x", good[:-2], ("B" if good.startswith("A") else "A") + good[1:]):
        assert (await page.get(f"{TASKS}/{task}/stream", params={"access_token": bad})).status_code == 401


@pytest.mark.acceptance("V103")
async def test_a_token_ends(gateway: Served) -> None:
    keys, now = gateway.gateway.context.keys, [1000.0]
    tokens, project = Tokens(keys, lambda: now[0]), Project("project-a", "team-a")
    token, expires = await tokens.issue(project, "vt_1")
    assert expires == 1000 + LIFETIME
    assert await tokens.project_of(token, "vt_1") == replace(project, may_write=False)
    now[0] = float(expires)
    with pytest.raises(GatewayError, match="has expired"):
        await tokens.project_of(token, "vt_1")
