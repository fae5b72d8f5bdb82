"""Which addresses may be reached: what a policy means. Pure; for workers, which hold it against what they connect to,
and for the gateway, which looks at what an address says by itself."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import unquote

_CLOSED: Final = (
    # This machine.
    *("0.0.0.0/8", "127.0.0.0/8", "::/128", "::1/128"),
    # Neighbours by wire, and the metadata of most clouds (169.254.169.254).
    *("169.254.0.0/16", "fe80::/10"),
    # The metadata of AWS over IPv6, of Alibaba, and Azure's agent.
    *("fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32"),
    # Groups and everybody.
    *("224.0.0.0/4", "255.255.255.255/32", "ff00::/8"),
)
_LOOPBACK: Final = ("127.0.0.1", "::1")
_LOCALHOST: Final = ".localhost"
"""RFC 6761, 6.3: wherever such a name is resolved, it is the machine itself."""
_METADATA: Final = ("169.254.169.254",)
_STANDS_FOR: Final = {
    # As the hosts file of a pod or a distribution has them.
    **dict.fromkeys(("localhost.localdomain", "ip6-localhost", "ip6-loopback"), _LOOPBACK),
    **dict.fromkeys(("localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6"), _LOOPBACK),
    # Google's, Azure's, Amazon's; those of one word are found through the search list of a machine there.
    **dict.fromkeys(("metadata.google.internal", "metadata.goog", "metadata", "metadata.azure.internal"), _METADATA),
    **dict.fromkeys(("instance-data", "instance-data.ec2.internal"), _METADATA),
    "metadata.tencentyun.com": ("169.254.0.23",),
}
"""Names that lead to the same place wherever they lead anywhere."""
_API_SERVER: Final = re.compile(r"kubernetes(\.default(\.svc(\..+)?)?)?")
"""The Service of the API server, whatever the cluster's domain; of one word as pods of its namespace find it."""
_FULL_STOP: Final = "\u3002"
"""Of Chinese and Japanese: it parts the labels of a name as a dot does (RFC 3490, 3.1)."""
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as NAT64 writes them (RFC 6052)."""
_TO_FOUR: Final = IPv6Network("2002::/16")
"""IPv4 addresses as 6to4 writes them (RFC 3056)."""


class AddressPolicy:
    """What a policy means for addresses. `name`: what people call it, for example "the pool's sourcePolicy"."""

    def __init__(self, name: str, allowed: Iterable[str], denied: Iterable[str], own: Iterable[str] = ()) -> None:
        """`own`: addresses of the cluster's own that are closed like loopback, the API server's above all."""
        self.name = name
        self._allowed = [ip_network(each, strict=False) for each in allowed]
        self._denied = [ip_network(each, strict=False) for each in denied]
        self._own = tuple(own)
        self._closed = [ip_network(each) for each in (*_CLOSED, *self._own)]

    def group_refusal(self, address: str) -> str | None:
        """Why a group must not be joined, or this machine not be listened on; None: it may.

        Both are closed as places to connect to. Here they are what a job names to be sent to.
        """
        number = _plain(address)
        if any(number in network for network in self._denied):
            return f"{self.name} denies it"
        if self._allowed and not any(number in network for network in self._allowed):
            return f"{self.name} does not allow it"
        return None

    def host_refusal(self, host: str) -> str | None:
        """Why a host must not be reached, as far as it says so before a resolver is asked: a numeric address, or a
        name that stands for closed ones. None: it may, or only the resolver knows."""
        refusals = [self.refusal(address) for address in self._stands_for(host)]
        return refusals[0] if refusals and None not in refusals else None

    def refusal(self, address: str) -> str | None:
        """Why a numeric address must not be reached; None: it may.

        deniedCidrs go before allowedCidrs. What is closed by itself is opened only by a range that lies within it:
        0.0.0.0/0 is said easily, and does not mean the metadata service.
        """
        number = _plain(address)
        if any(number in network for network in self._denied):
            return f"{self.name} denies it"
        named = [network for network in self._allowed if number in network]
        for closed in self._closed:
            if number in closed and not any(
                network.version == closed.version and network.subnet_of(closed)  # type: ignore[arg-type]  # same version
                for network in named
            ):
                return f"it is an address of the machine or the cluster itself, and {self.name} names no range of it"
        if self._allowed and not named:
            return f"{self.name} does not allow it"
        return None

    def _stands_for(self, host: str) -> Sequence[str]:
        """The addresses that a host is known to have."""
        if is_numeric(host):
            return (host,)
        name = _as_resolved(host)
        if is_numeric(name):
            return (name,)
        if f".{name}".endswith(_LOCALHOST):
            return _LOOPBACK
        return self._own if _API_SERVER.fullmatch(name) else _STANDS_FOR.get(name, ())


def cluster_addresses(environ: Mapping[str, str]) -> list[str]:
    """The API server's address as every pod is told it; where it is a name, nothing is known."""
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    try:
        return [str(ip_address(host))]
    except ValueError:
        return []


def _plain(address: str) -> IPv4Address | IPv6Address:
    """The address itself: of an IPv4 one in the clothes of IPv6 what is inside."""
    number = ip_address(address.partition("%")[0])
    if isinstance(number, IPv4Address):
        return number
    if number.ipv4_mapped is not None:
        return number.ipv4_mapped
    if number in _TRANSLATED:
        return IPv4Address(int(number) & 0xFFFFFFFF)
    if number in _TO_FOUR:
        return IPv4Address(int(number) >> 80 & 0xFFFFFFFF)
    return number


def _as_resolved(host: str) -> str:
    """The name that is asked for in the end, however it is written: FFmpeg and curl decode %6c, resolvers take the wide
    letters of East Asia for those of ASCII."""
    return unicodedata.normalize("NFKC", unquote(host)).replace(_FULL_STOP, ".").lower().rstrip(".")


def is_numeric(host: str) -> bool:
    """Whether it is an address by itself, for which no resolver is asked."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_disguised(host: str) -> bool:
    """Whether some systems take it for an IPv4 address although it is not written like one: 127.1, 0x7f000001."""
    last = _as_resolved(host).rpartition(".")[2]
    return not is_numeric(host) and (last.isdigit() or last.startswith("0x"))
