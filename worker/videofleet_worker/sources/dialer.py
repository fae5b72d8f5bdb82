"""The worker's way out: a source's name is resolved once, its addresses are checked, and those are connected to."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.reach import EVERYWHERE, Reach

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a name and a port to numeric addresses, the best one first. Raises OSError."""

_MOST_ADDRESSES: Final = 4
_PAIR_TRIES: Final = 32
_UDP_HOSTS: Final = "a udp address is a group's, or 0.0.0.0 for what is sent to this worker, and a port"
_RECEIVE_BUFFER: Final = 4 * 2**20


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """As the machine resolves names."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Dialer:
    """Connects where the pool's policy allows it."""

    def __init__(self, reach: Reach = EVERYWHERE, resolve: Resolve = system_resolve) -> None:
        self.reach = reach
        self._resolve = resolve

    async def connect(self, scheme: str, host: str, port: int, timeout: float) -> tuple[socket.socket, str]:
        """A connected, non-blocking socket and the address that it leads to, within `timeout` seconds.

        Raises SourceError with FORBIDDEN, NETWORK or TIMEOUT.
        """
        self.reach.check_scheme(scheme)
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._addresses(host, port)
                return await _first(addresses, port)
        except TimeoutError:
            raise SourceError(ErrorCode.TIMEOUT, f"{host} does not answer within {timeout:g} s") from None

    def receivers(self, host: str) -> tuple[socket.socket, socket.socket]:
        """Two datagram sockets for what a camera sends, the second one's port following the first one's, which is even.

        `host` is the camera's numeric address. They are bound here: the child can neither bind nor send.
        """
        try:
            self._check(host, [host])
        except ValueError:
            raise SourceError(ErrorCode.INTERNAL, "a camera's numeric address is wanted") from None
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
        for _ in range(_PAIR_TRIES):
            pair = _bound_pair(family)
            if pair is not None:
                return pair
        raise SourceError(ErrorCode.INTERNAL, "no two free ports in a row for what the camera sends")

    def receiver(self, host: str, port: int) -> socket.socket:
        """A datagram socket for what is sent to a group, or to this machine (0.0.0.0, ::). Raises SourceError."""
        self.reach.check_scheme("udp")
        try:
            number = ip_address(host)
        except ValueError:
            raise SourceError(ErrorCode.UNSUPPORTED, _UDP_HOSTS) from None
        if not (number.is_multicast or number.is_unspecified) or not port:
            raise SourceError(ErrorCode.UNSUPPORTED, _UDP_HOSTS)
        refusal = self.reach.group_refusal(host)
        if refusal is not None:
            raise SourceError(ErrorCode.FORBIDDEN, f"{host} must not be listened on: {refusal}")
        try:
            return _listening(number, port)
        except OSError as error:
            reason = os.strerror(error.errno or errno.EIO).lower()
            raise SourceError(ErrorCode.NETWORK, f"port {port} cannot be listened on: {reason}") from None

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        if (refusal := self.reach.host_refusal(host)) is not None:
            raise _forbidden(host, refusal)
        try:
            found = await self._resolve(host, port)
        except OSError:
            raise SourceError(ErrorCode.NETWORK, f"the name {host!r} cannot be resolved") from None
        return self._check(host, found)

    def _check(self, host: str, addresses: Sequence[str]) -> Sequence[str]:
        """Those that may be reached. Raises SourceError where there is none."""
        refusals = {address: self.reach.refusal(address) for address in addresses}
        open_ones = [address for address, refusal in refusals.items() if refusal is None]
        if open_ones:
            return open_ones[:_MOST_ADDRESSES]
        for address, refusal in refusals.items():
            raise _forbidden(host if host == address else f"{host} ({address})", refusal)
        raise SourceError(ErrorCode.NETWORK, f"the name {host!r} has no address")


def _forbidden(where: str, refusal: str | None) -> SourceError:
    return SourceError(ErrorCode.FORBIDDEN, f"{where} must not be reached: {refusal}")


async def _first(addresses: Sequence[str], port: int) -> tuple[socket.socket, str]:
    """The first of the addresses that answers."""
    failure: OSError | None = None
    for address in addresses:
        try:
            return await _connected(address, port), address
        except OSError as error:
            failure = error
    assert failure is not None, "there is at least one address"
    reason = os.strerror(failure.errno or errno.EIO).lower()
    raise SourceError(ErrorCode.NETWORK, f"no connection: {reason}")


async def _connected(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _listening(number: IPv4Address | IPv6Address, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if number.version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if number.is_multicast:
            # Several streams may take what one group is sent.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((str(number), port))
        if number.is_multicast and number.version == 4:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, number.packed + bytes(4))
        elif number.is_multicast:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, number.packed + bytes(4))
    except OSError:
        sock.close()
        raise
    return sock


def _bound_pair(family: socket.AddressFamily) -> tuple[socket.socket, socket.socket] | None:
    """Two sockets on an even port and the one after it; None where these are not free."""
    first = socket.socket(family, socket.SOCK_DGRAM)
    second = socket.socket(family, socket.SOCK_DGRAM)
    try:
        first.bind(("", 0))
        port = first.getsockname()[1]
        if port % 2 == 0 and port < 65535:
            second.bind(("", port + 1))
            return first, second
    except OSError:
        pass
    first.close()
    second.close()
    return None
