"""Verbs, answers and credentials of the HTTP session."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import session_to
from videofleet_kube import (
    CONFIGMAPS,
    LEASES,
    NODES,
    AlreadyExists,
    ApiError,
    ApiSession,
    BadRequest,
    Conflict,
    Credentials,
    CredentialsError,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    PermanentError,
    Resource,
    RetryableError,
    ServerAccess,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    discover,
    from_kubeconfig,
    in_cluster,
)
from videofleet_kube.kubeconfig import read_plain

MAPS = "api/v1/configmaps"


async def test_create_get_list_patch_delete(api: FakeApi, session: ApiSession) -> None:
    created = await session.create(CONFIGMAPS, "a", {"metadata": {"name": "one"}, "data": {"k": "1"}})
    assert await session.get(CONFIGMAPS, "a", "one") == created
    page = await session.list(CONFIGMAPS, "a", {"limit": 10, "continue": None})
    assert [item["metadata"]["name"] for item in page["items"]] == ["one"]
    changed = await session.patch(CONFIGMAPS, "a", "one", {"data": {"k": "2"}})
    assert changed["data"] == {"k": "2"}
    assert await session.delete(CONFIGMAPS, "a", "one", uid=created["metadata"]["uid"]) is not None
    assert api.objects == {}


async def test_what_is_not_there_is_none_to_read_and_to_delete(api: FakeApi, session: ApiSession) -> None:
    assert await session.get(CONFIGMAPS, "a", "none") is None
    assert await session.delete(CONFIGMAPS, "a", "none") is None
    with pytest.raises(NotFound):
        await session.patch(CONFIGMAPS, "a", "none", {})


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retryable"),
    [
        (400, "BadRequest", BadRequest, False),
        (401, "Unauthorized", Unauthorized, True),
        (403, "Forbidden", Forbidden, False),
        (405, "MethodNotAllowed", BadRequest, False),
        (409, "Conflict", Conflict, False),
        (409, "AlreadyExists", AlreadyExists, False),
        (410, "Expired", Gone, False),
        (422, "Invalid", Invalid, False),
        (429, "TooManyRequests", TooManyRequests, True),
        (500, "InternalError", Unavailable, True),
        (503, "ServiceUnavailable", Unavailable, True),
        (504, "Timeout", Unavailable, True),
    ],
)
async def test_answers_become_types(
    api: FakeApi, session: ApiSession, code: int, reason: str, kind: type[ApiError], retryable: bool
) -> None:
    api.fail("POST", lambda: refusal(code, reason, "the words of the server"), times=2)
    with pytest.raises(ApiError, match="the words of the server") as caught:
        await session.create(CONFIGMAPS, "a", {"metadata": {"name": "one"}})
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert isinstance(caught.value, RetryableError if retryable else PermanentError)
    assert (caught.value.status, caught.value.reason) == (code, reason)


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [({"Retry-After": "3"}, {}, 3.0), ({}, {"retryAfterSeconds": 5}, 5.0), ({}, {}, None)],
)
async def test_retry_after(
    api: FakeApi, session: ApiSession, headers: dict[str, str], details: dict[str, Any], seconds: float | None
) -> None:
    api.fail("GET", lambda: refusal(429, "TooManyRequests", headers=headers, **details))
    with pytest.raises(TooManyRequests) as caught:
        await session.get(CONFIGMAPS, "a", "one")
    assert caught.value.retry_after == seconds


async def test_an_error_that_is_no_status_is_quoted_briefly(api: FakeApi, session: ApiSession) -> None:
    api.fail("GET", lambda: web.Response(status=502, text="<html>bad gateway" + "x" * 1000))
    with pytest.raises(Unavailable, match="answered 502: <html>bad gateway") as caught:
        await session.get(CONFIGMAPS, "a", "one")
    assert len(str(caught.value)) < 300


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with session_to(f"http://127.0.0.1:{port}") as session:
            with pytest.raises(Unavailable) as caught:
                await session.get(CONFIGMAPS, "a", "one")
            assert caught.value.reason == "Connection"
            with pytest.raises(Unavailable):
                async with session.watch(CONFIGMAPS, None, {}):
                    pytest.fail("a watch was opened to nobody")


async def test_a_server_that_does_not_answer_is_unavailable_in_time() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with session_to(f"http://127.0.0.1:{port}") as session:
        with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
            await session.get(CONFIGMAPS, "a", "one", timeout=0.1)
        with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
            async with session.watch(CONFIGMAPS, None, {}, timeout=0.1):
                pytest.fail("a watch was opened that nobody answered")
    server.close()


async def test_an_answer_cut_short_is_unavailable(api: FakeApi, session: ApiSession) -> None:
    api.fail("GET", lambda: web.Response(body=b'{"metadata": {"na', content_type="application/json"))
    with pytest.raises(Unavailable, match="no JSON"):
        await session.get(CONFIGMAPS, "a", "one")


class Rotating:
    """Credentials whose token is another each time they are read."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.reads = 0
        self.broken = False

    async def load(self) -> ServerAccess:
        self.reads += 1
        if self.broken:
            raise CredentialsError("token file is empty")
        return ServerAccess(self.host, authorization=f"Bearer t{self.reads}")


async def test_a_rotated_token_is_read_again_after_a_401(api: FakeApi) -> None:
    rotating = Rotating(api.host)
    api.fail("GET", lambda: refusal(401, "Unauthorized"))
    async with ApiSession(Credentials(rotating.load)) as session:
        assert await session.get(CONFIGMAPS, "a", "one") is None
    assert [headers["Authorization"] for headers in api.headers] == ["Bearer t1", "Bearer t2"]


async def test_the_token_is_read_again_when_it_may_be_old(api: FakeApi) -> None:
    rotating, now = Rotating(api.host), [0.0]
    async with ApiSession(Credentials(rotating.load, refresh_after=60.0), clock=lambda: now[0]) as session:
        for now[0] in (1.0, 59.0, 61.0, 100.0):
            await session.get(CONFIGMAPS, "a", "one")
        assert [headers["Authorization"] for headers in api.headers] == ["Bearer t1"] * 2 + ["Bearer t2"] * 2
        rotating.broken, now[0] = True, 200.0
        await session.get(CONFIGMAPS, "a", "one")
        assert api.headers[-1]["Authorization"] == "Bearer t2"


async def test_a_watch_refused_for_its_token_reads_it_again(api: FakeApi) -> None:
    rotating = Rotating(api.host)
    api.fail("GET", lambda: refusal(401, "Unauthorized"))
    async with ApiSession(Credentials(rotating.load)) as session:
        with pytest.raises(Unauthorized):
            async with session.watch(CONFIGMAPS, None, {"resourceVersion": "0"}):
                pytest.fail("a watch was opened without leave")
        await session.get(CONFIGMAPS, "a", "one")
    assert api.headers[-1]["Authorization"] == "Bearer t2"


def test_the_token_is_in_no_representation() -> None:
    assert "s3cret" not in repr(ServerAccess("https://h", authorization="Bearer s3cret", proxy="http://u:s3cret@p"))


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: abc}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


async def test_reads_a_kubeconfig(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    access = await from_kubeconfig(str(path)).load()
    assert (access.host, access.authorization, access.tls) == ("http://127.0.0.1:1", "Bearer abc", None)
    assert (await discover({"KUBECONFIG": str(path), "KUBERNETES_SERVICE_HOST": "h"}).load()).host == access.host


@pytest.mark.parametrize("content", ["", "clusters: []\n", None], ids=["empty", "no context", "missing"])
async def test_a_bad_kubeconfig_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CredentialsError, match="config"):
        await from_kubeconfig(str(path)).load()


async def test_a_plain_kubeconfig_and_one_that_is_not_say_the_same(tmp_path: Path) -> None:
    """Files beside it are what it names; what is not plain is read by the package of the API's own project."""
    for name in ("ca.crt", "me.crt", "me.key"):
        (tmp_path / name).write_text(name)
    files = "{client-certificate: me.crt, client-key: me.key}"
    plain = (
        KUBECONFIG.replace("http://127.0.0.1:1", "https://[::1]:6443/")
        .replace(':6443/"', ':6443/", certificate-authority: ca.crt, tls-server-name: kube')
        .replace("{token: abc}", files)
    )
    found = []
    for kubeconfig in (plain, plain.replace(files, files[:-1] + ", unknown: 1}")):
        path = tmp_path / "config"
        path.write_text(kubeconfig)
        found.append(await from_kubeconfig(str(path)).load())
    assert read_plain(str(path)) is None, "the second one is not plain"
    assert found[0] == found[1]
    assert (found[0].host, found[0].server_hostname) == ("https://[::1]:6443", "kube")
    assert found[0].tls is not None
    assert found[0].tls.cert == str(tmp_path / "me.crt")


async def test_a_pod_has_its_service_account(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    for name in ("token", "ca.crt"):
        with pytest.raises(CredentialsError, match=name):
            await in_cluster(environ, tmp_path).load()
        (tmp_path / name).write_text("abc\n")
    access = await in_cluster(environ, tmp_path).load()
    assert (access.host, access.authorization) == ("https://[fd00::1]:443", "Bearer abc")
    assert access.tls is not None
    assert access.tls.ca == str(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("\n")
    with pytest.raises(CredentialsError, match="empty"):
        await in_cluster(environ, tmp_path).load()


async def test_outside_a_cluster_says_so() -> None:
    with pytest.raises(CredentialsError, match="in-cluster"):
        await discover({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).load()


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (CONFIGMAPS, (), "/api/v1/configmaps"),
        (CONFIGMAPS, ("a",), "/api/v1/namespaces/a/configmaps"),
        (CONFIGMAPS, ("a", "x/y"), "/api/v1/namespaces/a/configmaps/x%2Fy"),
        (LEASES, ("a", "l"), "/apis/coordination.k8s.io/v1/namespaces/a/leases/l"),
        (NODES, (None, "n", "status"), "/api/v1/nodes/n/status"),
    ],
)
def test_paths(resource: Resource, arguments: tuple[str, ...], path: str) -> None:
    assert resource.path(*arguments) == path


@pytest.mark.parametrize(
    ("resource", "arguments"),
    [(NODES, ("a",)), (CONFIGMAPS, (None, "x")), (CONFIGMAPS, ("a", "")), (NODES, (None, ""))],
)
def test_paths_that_make_no_sense(resource: Resource, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=resource.plural):
        resource.path(*arguments)
