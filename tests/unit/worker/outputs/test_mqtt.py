"""Messages to a real broker: under their topics, again when it was away, with login and TLS, and only where allowed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import becomes
from tests.support.authority import Authority
from tests.support.broker import PASSWORD, USER, Broker
from tests.support.programs import free_port
from tests.support.wire import Wire
from videofleet_api.outputs import OutputPolicy
from videofleet_api.targets import MqttTarget
from videofleet_worker.outputs.mqtt import MqttSender, topic_of
from videofleet_worker.outputs.outlet import Outlet
from videofleet_worker.outputs.reach import OutputReach
from videofleet_worker.outputs.sender import Message, Payload

HERE = OutputReach(OutputPolicy(allowed_cidrs=["127.0.0.0/8", "::1/128"]))
AT_ONCE = (0.05,)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as running:
        yield running


def _message(number: int, **about: str) -> Message:
    async def make() -> Payload:
        return Payload(b"%d" % number, {})

    return Message(f"key-{number}", make, about)


def _outlet(
    port: int, *, reach: OutputReach = HERE, retry: tuple[float, ...] = AT_ONCE, seconds: float = 15, **given: Any
) -> Outlet:
    target = MqttTarget(**{"host": "localhost", "port": port, "topic": "t", **given})
    return Outlet("mqtt", MqttSender(target, reach, seconds), retry)


def _kept() -> None:
    """Nothing is given up."""


def _trouble(outlet: Outlet) -> str | None:
    """Why the last attempt did not succeed."""
    return outlet.trouble[0] if outlet.trouble else None


@pytest.mark.parametrize("qos", [0, 1])
async def test_messages_arrive_in_order_under_their_topics(broker: Broker, qos: int) -> None:
    outlet = _outlet(broker.port, topic="site/{name}/{event}", qos=qos)
    for number in range(20):
        message = _message(number, name="cam", event="trackEnd" if number % 2 else "trackBegin")
        await outlet.deliver(message, _kept)
    await becomes(lambda: len(broker.messages) == 20, "all have come")
    outlet.close()
    assert [message.body for message in broker.messages] == [b"%d" % number for number in range(20)]
    assert [message.topic for message in broker.messages[:2]] == ["site/cam/trackBegin", "site/cam/trackEnd"]
    assert {message.qos for message in broker.messages} == {qos}
    assert (outlet.posted, outlet.lost.total()) == (20, 0)


async def test_a_broker_that_was_away_gets_what_waited(broker: Broker) -> None:
    wire = Wire("127.0.0.1", broker.port)
    port = free_port()
    server = await asyncio.start_server(wire.take, "127.0.0.1", port)
    outlet = _outlet(port)
    await outlet.deliver(_message(0), _kept)
    server.close()
    wire.close()
    others = [asyncio.create_task(outlet.deliver(_message(number), _kept)) for number in (1, 2)]
    await becomes(lambda: outlet.trouble is not None, "it is missed")
    async with await asyncio.start_server(wire.take, "127.0.0.1", port):
        await asyncio.gather(*others)
        await becomes(lambda: {message.body for message in broker.messages} == {b"0", b"1", b"2"}, "all are there")
        outlet.close()
        wire.close()


async def test_with_a_login(tmp_path: Path) -> None:
    with Broker(tmp_path, login=True) as broker:
        known = _outlet(broker.port, username=USER, password=PASSWORD)
        unknown = _outlet(broker.port, username=USER, password="wrong", retry=(60.0,))
        await known.deliver(_message(1), _kept)
        # Not tried again: the wait would be a minute.
        await unknown.deliver(_message(2), _kept)
        assert (known.posted, unknown.lost) == (1, {"refused": 1})
        known.close()
        unknown.close()


async def test_over_tls_the_broker_is_who_it_says(tmp_path: Path) -> None:
    authority, stranger = Authority(), Authority("another one")
    tls = authority.issue(tmp_path / "tls", "broker", "localhost")
    with Broker(tmp_path, tls=tls) as broker:
        secure = {"tls": True, "ca": authority.bundle.decode()}
        good = _outlet(broker.port, **secure)
        another_name = _outlet(broker.port, host="127.0.0.1", **secure)
        another_authority = _outlet(broker.port, tls=True, ca=stranger.bundle.decode())
        unchecked = _outlet(broker.port, tls=True, verify_tls=False, host="127.0.0.1")
        outlets = (good, another_name, another_authority, unchecked)
        deliveries = [asyncio.create_task(outlet.deliver(_message(1), _kept)) for outlet in outlets]
        await becomes(lambda: good.posted == unchecked.posted == 1, "they have come")
        await becomes(lambda: _trouble(another_name) == _trouble(another_authority) == "tls", "they are not trusted")
        for delivery, outlet in zip(deliveries, outlets, strict=True):
            delivery.cancel()
            outlet.close()
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
    await outlet.deliver(_message(1), _kept)
    assert outlet.lost == {"forbidden": 1}
    assert broker.messages == []


async def test_who_has_something_for_another_broker_does_not_wait_for_one_that_says_nothing(broker: Broker) -> None:
    came = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        hanging, other, impatient = _outlet(port, seconds=60), _outlet(broker.port), _outlet(port, seconds=0.2)
        waiting = asyncio.create_task(hanging.deliver(_message(0), _kept))
        await came.wait()
        await other.deliver(_message(0), _kept)
        causes = iter([None, "too_old"])
        await impatient.deliver(_message(0), lambda: next(causes))
        assert (other.posted, impatient.lost, waiting.done()) == (1, {"too_old": 1}, False)
        waiting.cancel()
        hanging.close()
        other.close()


async def test_nobody_there(broker: Broker) -> None:
    broker.stop()
    outlet = _outlet(broker.port)
    delivery = asyncio.create_task(outlet.deliver(_message(1), _kept))
    await becomes(lambda: outlet.trouble is not None, "it was tried")
    assert _trouble(outlet) == "unreachable"
    delivery.cancel()
    outlet.close()


def test_what_stands_for_a_name_stays_within_its_level() -> None:
    about = {"namespace": "shop", "name": "a/b+c#", "event": "trackEnd"}
    assert topic_of("v/{namespace}/{name}/{event}", about) == "v/shop/a_b_c_/trackEnd"
    assert topic_of("all", about) == "all"
