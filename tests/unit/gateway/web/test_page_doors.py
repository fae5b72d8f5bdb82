"""Who gets in at the page, and what a browser may load there; told without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.gateway import KEY, OTHER_KEY, OTHER_NAMESPACE, JobApi, Served, served_over
from tests.unit.gateway.web.conftest import READ_KEY, Stage
from tests.unit.gateway.web.test_page import RUNNING, spec
from videofleet_gateway.errors import GatewayError
from videofleet_gateway.sessions import COOKIE, LASTS, Sessions

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def client(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    """One that has signed in, and follows nothing by itself."""
    async with httpx.AsyncClient(base_url=stage.origin, headers={"Origin": stage.origin}, timeout=120) as one:
        answer = await one.post("/ui/sign-in", data={"key": KEY, "next": "/ui/streams"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/streams")
        yield one


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/v1/video/tasks", "/ui\\@evil", ""])
async def test_signing_in_leads_nowhere_else(client: httpx.AsyncClient, elsewhere: str) -> None:
    answer = await client.post("/ui/sign-in", data={"key": KEY, "next": elsewhere})
    assert answer.headers["location"] == "/ui/tasks"


@pytest.mark.parametrize("path", ["/ui", "/ui/tasks", "/ui/streams/x/snapshot.jpg", "/ui/_nicegui_ws/socket.io/"])
async def test_nobody_gets_in_without_a_session(stage: Stage, path: str) -> None:
    async with httpx.AsyncClient(base_url=stage.origin) as stranger:
        answer = await stranger.get(path, headers={"Cookie": f"{COOKIE}=a.b.c"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/ui/sign-in?next=")
        form = await stranger.post(
            "/ui/submit", data={"url": "https://example.com/a"}, headers={"Origin": stage.origin}
        )
        assert form.status_code == 401


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example"])
async def test_forms_and_sockets_of_other_places_are_not_taken(
    client: httpx.AsyncClient, stage: Stage, origin: str | None
) -> None:
    headers = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"} | ({"Origin": origin} if origin else {})
    async with httpx.AsyncClient(base_url=stage.origin, headers=headers) as other:
        answer = await other.post("/ui/submit", data={"url": "https://example.com/a"})
    assert answer.status_code == 403
    url = f"ws{stage.origin.removeprefix('http')}/ui/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(InvalidStatus):
        await connect(url, additional_headers=headers)
    assert stage.api.jobs() == []


async def test_a_page_says_what_a_browser_may_load(client: httpx.AsyncClient) -> None:
    live, form = await client.get("/ui/tasks"), await client.get("/ui/submit")
    policies = [answer.headers["content-security-policy"] for answer in (live, form)]
    for policy in policies:
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert "http" not in policy
    assert "script-src" not in policies[1]
    assert policies[0] != (await client.get("/ui/tasks")).headers["content-security-policy"]
    for answer in (live, form):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.acceptance("V103")
async def test_the_cookie_reads_streams_of_its_project_and_changes_nothing(
    client: httpx.AsyncClient, stage: Stage
) -> None:
    stage.api.job("mine", spec=spec(), status=RUNNING)
    stage.api.job("theirs", OTHER_NAMESPACE, spec=spec(), status=RUNNING)
    async with httpx.AsyncClient(base_url=stage.origin) as keys:
        (mine,), (theirs,) = [
            (await keys.get("/v1/video/tasks", headers={"Authorization": f"Bearer {key}"})).json()["data"]
            for key in (KEY, OTHER_KEY)
        ]
    assert (await client.head(mine["stream_url"])).status_code == 200
    assert (await client.head(theirs["stream_url"])).status_code == 404
    assert (await client.get("/v1/video/tasks")).status_code == 401
    assert (await client.post(f"/v1/video/tasks/{mine['id']}/cancel")).status_code == 401


async def test_who_has_a_key_for_reading_only_looks_and_leaves(stage: Stage) -> None:
    stage.api.job("mine", spec=spec(), status=RUNNING)
    async with httpx.AsyncClient(base_url=stage.origin, headers={"Origin": stage.origin}, timeout=120) as reader:
        assert (await reader.post("/ui/sign-in", data={"key": READ_KEY})).status_code == 303
        assert (await reader.get("/ui/tasks")).status_code == 200
        for path in ("/ui/submit", "/ui/tasks/vt_00000000000000000000000000/cancel"):
            answer = await reader.post(path, data={"url": "https://example.com/a", "steps": "detect"})
            assert (path, answer.status_code) == (path, 403)
            assert "reading only" in answer.text
        assert (await reader.post("/ui/sign-out")).status_code == 303
    assert len(stage.api.jobs()) == 1


async def test_behind_encryption_the_cookie_is_sent_over_nothing_else(client: httpx.AsyncClient) -> None:
    answer = await client.post("/ui/sign-in", data={"key": KEY}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


@pytest_asyncio.fixture(loop_scope="session")
async def plain(tmp_path: Path) -> AsyncIterator[Served]:
    """A gateway without the page."""
    async with JobApi() as api, served_over(api, tmp_path, ui=False) as one:
        yield one


async def test_without_the_page_its_path_is_one_of_v(plain: Served) -> None:
    assert (await plain.client().get("/ui/tasks")).json()["error"]["code"] == "not_found"


async def test_a_session_ends_with_its_time_and_with_its_key(plain: Served) -> None:
    now = [1000.0]
    sessions = Sessions(plain.gateway.context.keys, lambda: now[0])
    with pytest.raises(GatewayError, match="unknown or was revoked"):
        await sessions.begin("vf_wrong")
    cookie = await sessions.begin(KEY)
    assert KEY not in cookie
    found = await Sessions(plain.gateway.context.keys, lambda: now[0]).project_of(cookie)
    assert found is not None
    assert found.namespace != OTHER_NAMESPACE
    digest, until, seal = cookie.split(".")
    for forged in (None, "", "..", cookie[:-1], f"{digest}.{int(until) + 1}.{seal}", f"{digest}.é.{seal}"):
        assert await sessions.project_of(forged) is None
    now[0] += LASTS
    assert await sessions.project_of(cookie) is None
    now[0] -= 1
    assert await plain.gateway.context.keys.revoke(KEY)
    assert await sessions.project_of(cookie) is None
