"""Where results may go: what the pool's outputPolicy allows, and nowhere else."""

import asyncio
import socket
from collections.abc import Iterable

from videofleet_api.outputs import OUTPUT_SCHEMES, OutputPolicy
from videofleet_api.reach import AddressPolicy, is_disguised


class ForbiddenError(Exception):
    """The pool does not allow the address."""


class OutputReach:
    """What a policy means for receivers. A name is resolved for each connection, its addresses are checked, and one of
    those that pass is to be connected to."""

    def __init__(self, policy: OutputPolicy, own: Iterable[str] = ()) -> None:
        """`own`: addresses of the cluster that are closed unless the policy names them."""
        self._schemes = tuple(policy.schemes) or OUTPUT_SCHEMES
        self._policy = AddressPolicy("the pool's outputPolicy", policy.allowed_cidrs, policy.denied_cidrs, own)

    def check(self, scheme: str, host: str) -> None:
        """Look at what an address says by itself. Raises ForbiddenError."""
        if scheme not in self._schemes:
            raise ForbiddenError(f"the pool's outputPolicy allows {', '.join(self._schemes)}, but not {scheme}")
        if is_disguised(host):
            raise ForbiddenError(f"{host} cannot be checked against the pool's outputPolicy: write it as four numbers")
        # Of numeric addresses no resolver is asked, and of some names it need not be.
        if (refusal := self._policy.host_refusal(host)) is not None:
            raise ForbiddenError(f"{host} must not be reached: {refusal}")

    async def addresses(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[socket.AddressFamily, str]]:
        """Those of a name that may be reached. Raises ForbiddenError where there is none of them, and OSError."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        addresses: list[tuple[socket.AddressFamily, str]]
        addresses = list(dict.fromkeys((kind, str(address[0])) for kind, _, _, _, address in found))
        refusals = [self._policy.refusal(address) for _, address in addresses]
        allowed = [one for one, refusal in zip(addresses, refusals, strict=True) if refusal is None]
        if not allowed and addresses:
            raise ForbiddenError(f"{host} ({addresses[0][1]}) must not be reached: {refusals[0]}")
        return allowed
