"""The cluster's own packet filter rules, in a network of their own."""

from tests.support.ownnetwork import in_own_network

ELSEWHERE = """
ip link add name elsewhere type veth peer name nobody
ip address add 192.0.2.1/24 dev elsewhere
ip link set dev elsewhere up
ip link set dev nobody up
ip route add default via 192.0.2.2
"""
CALL = """
import socket
from localcluster.network import ensure_network
{network}
try:
    socket.create_connection(("{address}", 80), 0.5)
except OSError as error:
    print(type(error).__name__)
"""


def _call(address: str, network: str = "ensure_network()") -> str:
    return in_own_network(CALL.format(address=address, network=network), before=ELSEWHERE).strip()


def test_the_address_of_a_service_that_is_gone_is_refused_here() -> None:
    assert _call("10.96.77.77", network="") == "TimeoutError", "it would leave by the default route"
    assert _call("10.96.77.77") == "ConnectionRefusedError"


def test_other_addresses_are_none_of_its_business() -> None:
    assert _call("198.51.100.7") == "TimeoutError"


def test_the_network_may_be_made_twice() -> None:
    assert _call("10.96.77.77", network="ensure_network(); ensure_network()") == "ConnectionRefusedError"
