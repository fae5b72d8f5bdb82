"""Who sees which jobs, and which of them are left alone."""

from pathlib import Path

import httpx
import pytest

from tests.support.f_client import SPEC, URL, made, seen, wrong
from tests.support.gateway import KEY, NAMESPACE, OTHER_KEY, JobApi, Served, served_over


@pytest.mark.acceptance("F87", "X6")
async def test_without_a_key_there_is_nothing_by_default(gateway: Served) -> None:
    for headers in ({}, {"Authorization": "Bearer vf_unknown"}):
        answer = await gateway.client(None, "f_port").get("/jobs", headers=headers)
        assert wrong(answer) == (401, "UNAUTHORIZED")


@pytest.mark.acceptance("F87")
async def test_without_a_key_jobs_are_in_the_namespace_that_is_set(alone: httpx.AsyncClient, api: JobApi) -> None:
    await made(alone)
    assert len(api.jobs(NAMESPACE)) == 1
    assert [one["id"] for one in (await alone.get("/jobs")).json()] == ["cam-1"]
    wrong_key = {"Authorization": "Bearer vf_unknown"}
    assert wrong(await alone.get("/jobs", headers=wrong_key)) == (401, "UNAUTHORIZED")


async def test_jobs_of_another_project_are_not_there(gateway: Served) -> None:
    await made(gateway.client(KEY, "f_port"))
    other = gateway.client(OTHER_KEY, "f_port")
    assert (await other.get("/jobs")).json() == []
    assert wrong(await other.get("/job/cam-1")) == (404, "NOT_FOUND")
    await made(other)


@pytest.mark.acceptance("X1", "X7")
async def test_a_job_of_others_is_seen_without_its_credentials(
    client: httpx.AsyncClient, api: JobApi, gateway: Served
) -> None:
    await seen(api, gateway, source={"url": "https://h.example/a?token=pa55"})
    (listed,) = (await client.get("/jobs")).json()
    assert listed == (await client.get("/job/foreign")).json()
    assert (listed["id"], listed["stream_url"]) == ("foreign", "https://h.example/a?token=***")


@pytest.mark.acceptance("X8")
async def test_a_job_of_others_is_left_alone(client: httpx.AsyncClient, api: JobApi, gateway: Served) -> None:
    await seen(api, gateway)
    for answer in (
        await client.patch("/job/foreign", json={"enabled": False}),
        await client.delete("/job/foreign"),
        await client.post("/job/foreign/restart"),
        await client.post("/job/foreign", json={"stream_url": URL}),
    ):
        assert wrong(answer) == (409, "CONFLICT")
    assert api.jobs()[0]["spec"] == SPEC


@pytest.mark.acceptance("X8")
async def test_jobs_of_others_are_changed_where_that_is_wanted(api: JobApi, tmp_path: Path) -> None:
    async with served_over(api, tmp_path, f_adopt_foreign=True) as one:
        await seen(api, one)
        client = one.client(port="f_port")
        assert (await client.patch("/job/foreign", json={"enabled": False})).json()["enabled"] is False
        assert api.jobs()[0]["spec"] == {**SPEC, "enabled": False}
        assert (await client.delete("/job/foreign")).status_code == 200
        assert api.jobs() == []
