"""A client of F, and what tests say of its answers."""

import base64
from typing import Any

import httpx

from tests.support.gateway import JobApi, Served

URL = "rtsp://cam.example/1"
ROUTER = "http://router.example/v0/frame"
SECRETS = "api/v1/secrets"
SPEC = {"source": {"url": URL}, "analytics": [{"steps": [{"model": "detect"}, {"model": "track"}]}]}


async def made(client: httpx.AsyncClient, identifier: str = "cam-1", **body: Any) -> dict[str, Any]:
    answer = await client.post(f"/job/{identifier}", json={"stream_url": URL, **body})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def wrong(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a failure, whose body has the shape that all have."""
    body = answer.json()
    assert body["desc"]
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, body["code"]


def secrets(api: JobApi) -> dict[str, dict[str, str]]:
    """What is in each Secret."""
    return {
        one["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in one["data"].items()}
        for one in api.collection(SECRETS)
    }


async def seen(api: JobApi, gateway: Served, name: str = "foreign", **fields: Any) -> None:
    """A job that somebody has applied, and that the gateway has heard of."""
    job = api.job(name, spec={**SPEC, **fields})
    cache = gateway.gateway.context.jobs.cache
    while cache.by_uid(job["metadata"]["uid"]) is None:
        await cache.changed(job["metadata"]["uid"])
