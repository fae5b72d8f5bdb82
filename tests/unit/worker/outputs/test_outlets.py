"""Posts to one receiver: in order, tried again, bounded, signed, and only where the pool allows it."""

import hashlib
import hmac
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.archives import becomes
from tests.support.receiver import Receiver, receiving
from videofleet_api.outputs import OutputPolicy
from videofleet_worker.outputs.documents import form_payload
from videofleet_worker.outputs.outlet import QUEUE, Outlet
from videofleet_worker.outputs.poster import Poster
from videofleet_worker.outputs.posts import PostSender, PostTarget, signature
from videofleet_worker.outputs.reach import ForbiddenError, OutputReach
from videofleet_worker.outputs.sender import Message, Payload

HERE = OutputPolicy(allowed_cidrs=["127.0.0.0/8"])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    poster = Poster(OutputReach(HERE))
    yield poster
    await poster.close()


def _message(number: int) -> Message:
    async def make() -> Payload:
        return Payload(b"%d" % number, {"Content-Type": "text/plain"})

    return Message(f"key-{number}", make)


async def test_messages_arrive_in_order_with_their_keys(receiver: Receiver, poster: Poster) -> None:
    outlet = Outlet(
        "webhook-0", PostSender(PostTarget(receiver.url("/a"), headers={"Authorization": "Bearer t"}), poster)
    )
    for number in range(5):
        outlet.offer(_message(number))
    await outlet.close(10)
    assert [post.body for post in receiver.posts] == [b"0", b"1", b"2", b"3", b"4"]
    assert [post.headers["Idempotency-Key"] for post in receiver.posts] == [f"key-{number}" for number in range(5)]
    assert receiver.posts[0].headers["Authorization"] == "Bearer t"
    assert (outlet.posted, outlet.lost.total(), outlet.waiting) == (5, 0, 0)


async def test_a_connection_lasts_until_posts_are_refused(receiver: Receiver, poster: Poster) -> None:
    """Who refuses may have got the address of the one that was meant."""
    receiver.statuses = [200, 404, 404]
    for _ in range(5):
        await poster.post(receiver.url(), b"", {}, timeout=10)
    *before, after, afterwards = (post.sender for post in receiver.posts)
    assert len(set(before)) == 1
    assert after not in before
    assert after != afterwards, "the post after a refusal is the last one of its connection, whatever it is answered"


async def test_a_post_is_signed_over_the_time_and_the_very_bytes(receiver: Receiver, poster: Poster) -> None:
    outlet = Outlet("webhook-0", PostSender(PostTarget(receiver.url(), secret="s3cret"), poster))
    outlet.offer(_message(7))
    await outlet.close(10)
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
        pytest.param([500, 500, 500], 3, 0, {"failed": 1}, id="given up after the last attempt"),
        pytest.param([404], 1, 0, {"refused": 1}, id="not tried again when it is refused"),
        pytest.param([302], 1, 0, {"redirect": 1}, id="no redirect is followed"),
    ],
)
async def test_what_an_answer_means(
    statuses: list[int], tries: int, posted: int, lost: dict[str, int], receiver: Receiver, poster: Poster
) -> None:
    receiver.statuses = list(statuses)
    outlet = Outlet("router", PostSender(PostTarget(receiver.url("/a")), poster), retry_seconds=(0.0, 0.0))
    outlet.offer(_message(1))
    await outlet.close(10)
    assert len(receiver.at("/a")) == tries
    assert receiver.at("/elsewhere") == []
    assert {post.headers["Idempotency-Key"] for post in receiver.posts} == {"key-1"}
    assert (outlet.posted, dict(outlet.lost)) == (posted, lost)


async def test_a_receiver_that_hangs_loses_its_own_messages_only(receiver: Receiver, poster: Poster) -> None:
    hanging = Outlet("webhook-0", PostSender(PostTarget(receiver.url("/hang"), timeout=60), poster))
    other = Outlet("webhook-1", PostSender(PostTarget(receiver.url("/a")), poster))
    for number in range(QUEUE + 3):
        hanging.offer(_message(number))
    other.offer(_message(0))
    await becomes(lambda: other.posted == 1, "the other receiver is served")
    assert (hanging.waiting, hanging.lost["queue_full"]) == (QUEUE, 3)
    await hanging.close(0.0)
    assert hanging.lost == {"queue_full": 3, "stopped": QUEUE}


async def test_a_receiver_that_does_not_answer_in_time(receiver: Receiver, poster: Poster) -> None:
    outlet = Outlet("router", PostSender(PostTarget(receiver.url("/hang"), timeout=0.1), poster), retry_seconds=(0.0,))
    outlet.offer(_message(1))
    await becomes(lambda: outlet.lost["timeout"] == 1, "it was given up")
    assert len(receiver.posts) == 2


async def test_nobody_there(poster: Poster) -> None:
    async with receiving() as gone:
        address = gone.url()
    outlet = Outlet("router", PostSender(PostTarget(address), poster), retry_seconds=())
    outlet.offer(_message(1))
    await outlet.close(10)
    assert outlet.lost == {"unreachable": 1}


@pytest.mark.parametrize(
    ("policy", "host"),
    [
        pytest.param(OutputPolicy(), "127.0.0.1", id="loopback by number"),
        pytest.param(OutputPolicy(), "localhost", id="loopback by name"),
        pytest.param(OutputPolicy(), "127.1", id="loopback in disguise"),
        pytest.param(OutputPolicy(), "0x7f000001", id="loopback as one number"),
        pytest.param(OutputPolicy(), "[::ffff:127.0.0.1]", id="loopback in IPv6"),
        pytest.param(OutputPolicy(), "169.254.169.254", id="metadata"),
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
        await poster.post(f"http://{host}:{receiver.port}/", b"", {}, timeout=5)
    outlet = Outlet("router", PostSender(PostTarget(f"http://{host}:{receiver.port}/"), poster))
    outlet.offer(_message(1))
    await outlet.close(10)
    assert (dict(outlet.lost), receiver.posts) == ({"forbidden": 1}, [])
    await poster.close()


async def test_the_api_server_is_closed_by_itself(receiver: Receiver) -> None:
    poster = Poster(OutputReach(OutputPolicy(), own=["192.0.2.1"]))
    with pytest.raises(ForbiddenError, match="the cluster itself"):
        await poster.post("https://192.0.2.1/", b"", {}, timeout=5)
    await poster.close()


async def test_a_form_is_read_by_others_as_it_was_meant(receiver: Receiver, poster: Poster) -> None:
    payload = form_payload({"a": 1}, b"\xff\xd8\r\n--\x00", {'camera "7"': "entrance"})
    await poster.post(receiver.url(), payload.body, payload.headers, timeout=5)
    form = receiver.posts[0].form
    assert (form["photo"], form["meta"], form["camera %227%22"]) == (b"\xff\xd8\r\n--\x00", b'{"a":1}', b"entrance")
