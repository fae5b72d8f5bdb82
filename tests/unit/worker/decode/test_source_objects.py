"""Objects in a store that checks signatures."""

import asyncio
from pathlib import Path

import pytest

from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import read
from tests.unit.worker.decode.webserver import KEYS, Page, WebServer
from videofleet_api.codes import ErrorCode
from videofleet_api.source import SourcePolicy
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.objects import web_address
from videofleet_worker.sources.reach import Reach
from videofleet_worker.sources.request import SourceRequest


@pytest.fixture
def url(web: WebServer, clip: Path) -> str:
    web.pages["/objects/by%20day/clip.mp4"] = Page(clip.read_bytes())
    return f"s3://objects/by%20day/clip.mp4?region=eu-west-1&endpoint={web.url('')}"


async def test_an_object_is_read(make_source: MakeSource, url: str) -> None:
    outcome = await read(make_source(url, username=KEYS[0], password=KEYS[1]))

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))


async def test_other_keys_read_nothing(make_source: MakeSource, url: str, web: WebServer) -> None:
    web.pages["/AccessDenied"] = Page(status=403)

    outcome = await read(make_source(url, username=KEYS[0], password="hunter2"))

    assert outcome.failure.code is ErrorCode.AUTH
    assert KEYS[0] not in str(outcome.failure)


@pytest.mark.parametrize("status", [503, 429])
async def test_a_store_that_throttles_for_a_while_in_mid_file_loses_nothing(
    make_source: MakeSource, url: str, web: WebServer, status: int
) -> None:
    content = web.pages["/objects/by%20day/clip.mp4"].body
    page = Page(content, give_up_after=len(content) * 6 // 10, later=[status, status])
    web.pages["/objects/by%20day/clip.mp4"] = page

    outcome = await read(make_source(url, username=KEYS[0], password=KEYS[1]))

    assert (outcome.error, outcome.indexes, page.later) == (None, list(range(30)), [])


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        pytest.param([503] * 100, ErrorCode.NETWORK, id="slow down, and never faster again"),
        pytest.param([403], ErrorCode.AUTH, id="borrowed keys that have expired"),
    ],
)
async def test_a_store_that_refuses_the_rest_of_an_object_is_not_its_neighbours_end(
    make_source: MakeSource, url: str, web: WebServer, statuses: list[int], code: ErrorCode
) -> None:
    content = web.pages["/objects/by%20day/clip.mp4"].body
    web.pages["/objects/other.mp4"] = Page(content)
    web.pages["/objects/by%20day/clip.mp4"] = Page(content, give_up_after=len(content) * 7 // 10, later=statuses)
    keys = {"username": KEYS[0], "password": KEYS[1]}

    refused, neighbour = await asyncio.gather(
        read(make_source(url, session_token="borrowed", **keys)),
        read(make_source(url.replace("by%20day/clip", "other"), **keys)),
    )

    assert refused.failure.code is code
    assert len(refused.indexes) > 3
    assert refused.indexes == list(range(len(refused.indexes)))
    assert (neighbour.error, neighbour.indexes) == (None, list(range(30)))
    assert KEYS[0] not in str(refused.failure)
    assert "borrowed" not in str(refused.failure)


async def test_an_object_that_is_not_there(make_source: MakeSource, url: str) -> None:
    outcome = await read(make_source(url.replace("clip", "clap"), username=KEYS[0], password=KEYS[1]))

    assert outcome.failure.code is ErrorCode.NOT_FOUND


async def test_a_pool_may_allow_objects_only(make_source: MakeSource, url: str, web: WebServer) -> None:
    dialer = Dialer(Reach(SourcePolicy(schemes=["s3"], allowed_cidrs=["127.0.0.0/8"])))

    allowed = await read(make_source(url, username=KEYS[0], password=KEYS[1], dialer=dialer))
    refused = await read(make_source(web.url("/clip.mp4"), dialer=dialer))

    assert (allowed.error, len(allowed.indexes)) == (None, 30)
    assert refused.failure.code is ErrorCode.FORBIDDEN


async def test_a_store_at_a_forbidden_address(make_source: MakeSource) -> None:
    source = make_source("s3://bucket/a.mp4?endpoint=http://169.254.169.254", username="id", password="secret")

    assert (await read(source)).failure.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://clips/a/b%20c.mp4", "https://s3.us-east-1.amazonaws.com/clips/a/b%20c.mp4"),
        ("s3://clips/a.mp4?region=eu-west-1", "https://s3.eu-west-1.amazonaws.com/clips/a.mp4"),
        ("s3://clips/a.mp4?endpoint=http://minio:9000", "http://minio:9000/clips/a.mp4"),
    ],
)
def test_public_objects_need_no_keys(url: str, expected: str) -> None:
    assert web_address(SourceRequest(url)) == expected


def test_borrowed_keys_bring_their_token() -> None:
    request = SourceRequest("s3://clips/a.mp4", username="id", password="secret", session_token="borrowed")

    assert "X-Amz-Security-Token=borrowed" in web_address(request)
    assert "borrowed" not in repr(request)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://clips", "write s3://BUCKET/KEY"),
        ("s3://clips/a.mp4?zone=1", "zone is not known: endpoint and region are"),
        ("s3://clips/a.mp4?region=x@169.254.169.254/", "region: it must be 1 to 64 letters"),
        ("s3://clips/a.mp4?region=%0aeu", "region: it must be 1 to 64 letters"),
        ("s3://clips/a.mp4?region=", "region: it must be 1 to 64 letters"),
        ("s3://clips/a.mp4?endpoint=minio:9000", "endpoint begins with http:// or https://"),
    ],
)
def test_what_names_no_object(url: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as refused:
        web_address(SourceRequest(url))

    assert refused.value.code is ErrorCode.BAD_PARAMETER
