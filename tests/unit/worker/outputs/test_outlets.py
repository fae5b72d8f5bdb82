"""Posts to one receiver: tried again, signed, and only where the pool allows it."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.archives import becomes
from tests.support.programs import free_port
from tests.support.receiver import Receiver, receiving
from videofleet_api.outputs import OutputPolicy
from videofleet_worker.outputs.documents import form_payload
from videofleet_worker.outputs.outlet import MOST_ANSWERS, Outlet
from videofleet_worker.outputs.poster import Poster
from videofleet_worker.outputs.posts import PostSender, PostTarget, signature
from videofleet_worker.outputs.reach import ForbiddenError, OutputReach
from videofleet_worker.outputs.sender import Message, Payload

HERE = OutputPolicy(allowed_cidrs=["127.0.0.0/8"])


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    poster = Poster(OutputReach(HERE))
    yield poster
    await poster.close()


def _message(number: int) -> Message:
    async def make() -> Payload:
        return Payload(b"%d" % number, {"Content-Type": "text/plain"})

    return Message(f"key-{number}", make)


def _kept() -> None:
    """Nothing is given up."""


def _trouble(outlet: Outlet) -> str | None:
    """Why the last attempt did not succeed."""
    return outlet.trouble[0] if outlet.trouble else None


async def test_messages_arrive_with_their_keys(receiver: Receiver, poster: Poster) -> None:
    outlet = Outlet(
        "webhook-0", PostSender(PostTarget(receiver.url("/a"), headers={"Authorization": "Bearer t"}), poster)
    )
    for number in range(5):
        await outlet.deliver(_message(number), _kept)
    assert [post.body for post in receiver.posts] == [b"0", b"1", b"2", b"3", b"4"]
    assert [post.headers["Idempotency-Key"] for post in receiver.posts] == [f"key-{number}" for number in range(5)]
    assert receiver.posts[0].headers["Authorization"] == "Bearer t"
    assert (outlet.posted, outlet.lost.total(), outlet.trouble) == (5, 0, None)


async def test_a_user_in_the_address_is_shown_unless_a_header_says_who_it_is(
    receiver: Receiver, poster: Poster
) -> None:
    url = receiver.url("/a").replace("http://", "http://me:p%40ss@")
    await poster.post(url, b"", {}, timeout=60)
    await poster.post(url, b"", {"authorization": "Bearer t"}, timeout=60)
    shown = [post.headers["Authorization"] for post in receiver.posts]
    assert shown == [f"Basic {base64.b64encode(b'me:p@ss').decode()}", "Bearer t"]


async def test_a_connection_lasts_until_posts_are_refused(receiver: Receiver, poster: Poster) -> None:
    """Who refuses may have got the address of the one that was meant."""
    receiver.statuses = [200, 404, 404]
    for _ in range(5):
        await poster.post(receiver.url(), b"", {}, timeout=60)
    *before, after, afterwards = (post.sender for post in receiver.posts)
    assert len(set(before)) == 1
    assert after not in before
    assert after != afterwards, "the post after a refusal is the last one of its connection, whatever it is answered"


async def test_a_post_is_signed_over_the_time_and_the_very_bytes(receiver: Receiver, poster: Poster) -> None:
    outlet = Outlet("webhook-0", PostSender(PostTarget(receiver.url(), secret="s3cret"), poster))
    await outlet.deliver(_message(7), _kept)
    (post,) = receiver.posts
    fields = dict(part.split("=") for part in post.headers["Videofleet-Signature"].split(","))
    expected = hmac.new(b"s3cret", fields["t"].encode() + b"." + post.body, hashlib.sha256).hexdigest()
    assert fields["v1"] == expected
    assert abs(int(fields["t"]) - time.time()) < 60


def test_the_signature_is_hmac_sha256() -> None:
    made = hmac.new(b"key", b"12.body", hashlib.sha256).hexdigest()
    assert signature("key", b"body", 12) == f"t=12,v1={made}"


@pytest.mark.parametrize(
    ("statuses", "tries", "posted", "lost"),
    [
        pytest.param([500, 503, 200], 3, 1, {}, id="tried again while the receiver has trouble"),
        pytest.param([429, 200], 2, 1, {}, id="tried again when it is told to wait"),
        pytest.param([503] * 2 * MOST_ANSWERS, 2 * MOST_ANSWERS + 1, 1, {}, id="tried again for as long as it is away"),
        pytest.param(
            [500] * MOST_ANSWERS, MOST_ANSWERS, 0, {"failed": 1}, id="given up when its receiver fails again and again"
        ),
        pytest.param([404], 1, 0, {"refused": 1}, id="not tried again when it is refused"),
        pytest.param([302], 1, 0, {"redirect": 1}, id="no redirect is followed"),
    ],
)
async def test_what_an_answer_means(
    statuses: list[int], tries: int, posted: int, lost: dict[str, int], receiver: Receiver, poster: Poster
) -> None:
    receiver.statuses = list(statuses)
    outlet = Outlet("router", PostSender(PostTarget(receiver.url("/a")), poster), retry_seconds=(0.0, 0.0))
    await outlet.deliver(_message(1), _kept)
    assert len(receiver.at("/a")) == tries
    assert receiver.at("/elsewhere") == []
    assert {post.headers["Idempotency-Key"] for post in receiver.posts} == {"key-1"}
    assert (outlet.posted, dict(outlet.lost)) == (posted, lost)


async def test_who_has_something_for_another_receiver_waits_for_none(receiver: Receiver, poster: Poster) -> None:
    hanging = Outlet("webhook-0", PostSender(PostTarget(receiver.url("/hang"), timeout=60), poster))
    other = Outlet("webhook-1", PostSender(PostTarget(receiver.url("/a")), poster))
    waiting = asyncio.create_task(hanging.deliver(_message(0), _kept))
    await becomes(lambda: len(receiver.at("/hang")) == 1, "it was posted")
    await other.deliver(_message(0), _kept)
    assert (other.posted, waiting.done()) == (1, False)
    waiting.cancel()


async def test_a_receiver_that_does_not_answer_in_time(receiver: Receiver, poster: Poster) -> None:
    outlet = Outlet("router", PostSender(PostTarget(receiver.url("/hang"), timeout=1.0), poster), retry_seconds=(0.0,))
    causes = iter([None, None, "too_old"])
    await outlet.deliver(_message(1), lambda: next(causes))
    assert len(receiver.posts) == 2
    assert outlet.lost == {"too_old": 1}


async def test_somebody_who_comes_back_gets_what_waited(poster: Poster) -> None:
    async with receiving(free_port()) as gone:
        address, port = gone.url(), gone.port
    outlet = Outlet("router", PostSender(PostTarget(address), poster), retry_seconds=(0.01,))
    delivery = asyncio.create_task(outlet.deliver(_message(1), _kept))
    await becomes(lambda: outlet.trouble is not None, "it was tried")
    assert _trouble(outlet) == "unreachable"
    async with receiving(port) as back:
        await delivery
        assert [post.body for post in back.posts] == [b"1"]
    assert (outlet.posted, outlet.lost.total(), outlet.trouble) == (1, 0, None)


@pytest.mark.parametrize(
    ("policy", "host"),
    [
        pytest.param(OutputPolicy(), "127.0.0.1", id="loopback by number"),
        pytest.param(OutputPolicy(), "localhost", id="loopback by name"),
        pytest.param(OutputPolicy(), "127.1", id="loopback in disguise"),
        pytest.param(OutputPolicy(), "0x7f000001", id="loopback as one number"),
        pytest.param(OutputPolicy(), "[::ffff:127.0.0.1]", id="loopback in IPv6"),
        pytest.param(OutputPolicy(), "169.254.169.254", id="metadata"),
        pytest.param(OutputPolicy(), "metadata.google.internal", id="metadata by name"),
        pytest.param(OutputPolicy(allowed_cidrs=["0.0.0.0/0"]), "127.0.0.1", id="everything does not mean loopback"),
        pytest.param(OutputPolicy(allowed_cidrs=["10.0.0.0/8"]), "192.0.2.1", id="not among those allowed"),
        pytest.param(
            OutputPolicy(allowed_cidrs=["127.0.0.0/8"], denied_cidrs=["127.0.0.1/32"]), "127.0.0.1", id="denied"
        ),
        pytest.param(OutputPolicy(allowed_cidrs=["127.0.0.0/8"], schemes=["https"]), "127.0.0.1", id="scheme"),
    ],
)
async def test_what_the_pool_does_not_allow_is_not_connected_to(
    policy: OutputPolicy, host: str, receiver: Receiver
) -> None:
    poster = Poster(OutputReach(policy))
    with pytest.raises(ForbiddenError, match="outputPolicy"):
        await poster.post(f"http://{host}:{receiver.port}/", b"", {}, timeout=60)
    outlet = Outlet("router", PostSender(PostTarget(f"http://{host}:{receiver.port}/"), poster))
    await outlet.deliver(_message(1), _kept)
    assert (dict(outlet.lost), receiver.posts) == ({"forbidden": 1}, [])
    await poster.close()


async def test_the_api_server_is_closed_by_itself(receiver: Receiver) -> None:
    poster = Poster(OutputReach(OutputPolicy(), own=["192.0.2.1"]))
    with pytest.raises(ForbiddenError, match="the cluster itself"):
        await poster.post("https://192.0.2.1/", b"", {}, timeout=60)
    await poster.close()


async def test_a_form_is_read_by_others_as_it_was_meant(receiver: Receiver, poster: Poster) -> None:
    payload = form_payload({"a": 1}, b"\xff\xd8\r\n--\x00", {'camera "7"': "entrance"})
    await poster.post(receiver.url(), payload.body, payload.headers, timeout=60)
    form = receiver.posts[0].form
    assert (form["photo"], form["meta"], form["camera %227%22"]) == (b"\xff\xd8\r\n--\x00", b'{"a":1}', b"entrance")
