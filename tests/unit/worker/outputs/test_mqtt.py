"""Messages to a real broker: under their topics, again when it was away, with login and TLS, and only where allowed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import becomes
from tests.support.broker import PASSWORD, USER, Broker
from tests.support.wire import Wire
from tests.support.worker_client import Authority
from videofleet_api.outputs import OutputPolicy
from videofleet_api.protocol import MqttTarget
from videofleet_worker.outputs.mqtt import MqttSender, topic_of
from videofleet_worker.outputs.outlet import QUEUE, Outlet
from videofleet_worker.outputs.reach import OutputReach
from videofleet_worker.outputs.sender import Message, Payload

HERE = OutputReach(OutputPolicy(allowed_cidrs=["127.0.0.0/8", "::1/128"]))
NOTHING_TWICE = ()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as running:
        yield running


def _message(number: int, **about: str) -> Message:
    async def make() -> Payload:
        return Payload(b"%d" % number, {})

    return Message(f"key-{number}", make, about)


def _outlet(
    port: int, *, reach: OutputReach = HERE, retry: tuple[float, ...] = NOTHING_TWICE, seconds: float = 15, **given: Any
) -> Outlet:
    target = MqttTarget(**{"host": "localhost", "port": port, "topic": "t", **given})
    return Outlet("mqtt", MqttSender(target, reach, seconds), retry)


@pytest.mark.parametrize("qos", [0, 1])
async def test_messages_arrive_in_order_under_their_topics(broker: Broker, qos: int) -> None:
    outlet = _outlet(broker.port, topic="site/{name}/{event}", qos=qos)
    for number in range(20):
        outlet.offer(_message(number, name="cam", event="trackEnd" if number % 2 else "trackBegin"))
    await becomes(lambda: len(broker.messages) == 20, "all have come")
    await outlet.close(5)
    assert [message.body for message in broker.messages] == [b"%d" % number for number in range(20)]
    assert [message.topic for message in broker.messages[:2]] == ["site/cam/trackBegin", "site/cam/trackEnd"]
    assert {message.qos for message in broker.messages} == {qos}
    assert (outlet.posted, outlet.lost.total()) == (20, 0)


async def test_a_broker_that_was_away_gets_what_waited(broker: Broker) -> None:
    wire = Wire("127.0.0.1", broker.port)
    server = await asyncio.start_server(wire.take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    outlet = _outlet(port, retry=(0.1,) * 100)
    outlet.offer(_message(0))
    await becomes(lambda: outlet.posted == 1, "the first one has come")
    server.close()
    wire.close()
    outlet.offer(_message(1))
    outlet.offer(_message(2))
    async with await asyncio.start_server(wire.take, "127.0.0.1", port):
        await becomes(lambda: outlet.posted == 3, "the others have come")
        await becomes(lambda: [message.body for message in broker.messages] == [b"0", b"1", b"2"], "in order")
        await outlet.close(5)
        wire.close()


async def test_with_a_login(tmp_path: Path) -> None:
    with Broker(tmp_path, login=True) as broker:
        known = _outlet(broker.port, username=USER, password=PASSWORD)
        unknown = _outlet(broker.port, username=USER, password="wrong", retry=(60.0,))
        known.offer(_message(1))
        unknown.offer(_message(2))
        await becomes(lambda: known.posted == 1, "it has come")
        # Not tried again: the wait would be a minute.
        await becomes(lambda: unknown.lost["refused"] == 1, "it was refused")
        await known.close(5)
        await unknown.close(5)


async def test_over_tls_the_broker_is_who_it_says(tmp_path: Path) -> None:
    authority, stranger = Authority(), Authority("another one")
    tls = authority.issue(tmp_path / "tls", "broker", "localhost")
    with Broker(tmp_path, tls=tls) as broker:
        secure = {"tls": True, "ca": authority.bundle.decode()}
        good = _outlet(broker.port, **secure)
        another_name = _outlet(broker.port, host="127.0.0.1", **secure)
        another_authority = _outlet(broker.port, tls=True, ca=stranger.bundle.decode())
        unchecked = _outlet(broker.port, tls=True, verify_tls=False, host="127.0.0.1")
        for outlet in (good, another_name, another_authority, unchecked):
            outlet.offer(_message(1))
        await becomes(lambda: good.posted == unchecked.posted == 1, "they have come")
        await becomes(lambda: another_name.lost["tls"] == another_authority.lost["tls"] == 1, "they are refused")
        for outlet in (good, another_name, another_authority, unchecked):
            await outlet.close(5)
    assert len(broker.messages) == 2


@pytest.mark.parametrize(
    ("policy", "host"),
    [
        pytest.param(OutputPolicy(), "localhost", id="a name that leads to this machine"),
        pytest.param(OutputPolicy(), "127.0.0.1", id="this machine"),
        pytest.param(OutputPolicy(), "127.1", id="this machine in disguise"),
        pytest.param(OutputPolicy(allowed_cidrs=["127.0.0.0/8"], schemes=["https"]), "127.0.0.1", id="not by MQTT"),
        pytest.param(OutputPolicy(allowed_cidrs=["127.0.0.0/8"], schemes=["mqtts"]), "127.0.0.1", id="not without TLS"),
    ],
)
async def test_where_the_pool_does_not_allow_it_nobody_connects(
    broker: Broker, policy: OutputPolicy, host: str
) -> None:
    outlet = _outlet(broker.port, host=host, reach=OutputReach(policy), retry=(60.0,))
    outlet.offer(_message(1))
    await becomes(lambda: outlet.lost["forbidden"] == 1, "it was refused")
    await outlet.close(5)
    assert broker.messages == []


async def test_a_broker_that_says_nothing_loses_its_own_messages_only(broker: Broker) -> None:
    came = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        hanging, other = _outlet(port, seconds=60), _outlet(broker.port)
        given_up = _outlet(port, seconds=0.2)
        for number in range(QUEUE + 3):
            hanging.offer(_message(number))
        given_up.offer(_message(0))
        other.offer(_message(0))
        await becomes(lambda: other.posted == 1, "the other broker is served")
        await becomes(lambda: given_up.lost["timeout"] == 1, "it was given up")
        assert came.is_set()
        assert (hanging.waiting, hanging.lost["queue_full"]) == (QUEUE, 3)
        await hanging.close(0.0)
        await other.close(5)
    assert hanging.lost == {"queue_full": 3, "stopped": QUEUE}


async def test_nobody_there(broker: Broker) -> None:
    broker.stop()
    outlet = _outlet(broker.port)
    outlet.offer(_message(1))
    await becomes(lambda: outlet.lost["unreachable"] == 1, "it is lost")
    await outlet.close(5)


def test_what_stands_for_a_name_stays_within_its_level() -> None:
    about = {"namespace": "shop", "name": "a/b+c#", "event": "trackEnd"}
    assert topic_of("v/{namespace}/{name}/{event}", about) == "v/shop/a_b_c_/trackEnd"
    assert topic_of("all", about) == "all"
