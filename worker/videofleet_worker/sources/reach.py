"""Where sources may be: what the pool's sourcePolicy allows. Pure."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from videofleet_api.codes import ErrorCode
from videofleet_api.reach import AddressPolicy
from videofleet_api.source import SCHEMES, SourcePolicy
from videofleet_worker.decode.options import scheme_of
from videofleet_worker.sources.errors import SourceError


class Reach(AddressPolicy):
    """What a pool's sourcePolicy means for addresses."""

    def __init__(self, policy: SourcePolicy, own: Iterable[str] = ()) -> None:
        """`own`: see AddressPolicy."""
        super().__init__("the pool's sourcePolicy", policy.allowed_cidrs, policy.denied_cidrs, own)
        self.schemes: tuple[str, ...] = tuple(policy.schemes)

    def check_scheme(self, scheme: str) -> None:
        """Raises SourceError when the pool does not allow it."""
        if self.schemes and scheme not in self.schemes:
            allowed = ", ".join(self.schemes)
            raise SourceError(ErrorCode.FORBIDDEN, f"the pool's sourcePolicy allows {allowed}, but not {scheme}")


EVERYWHERE: Final = Reach(SourcePolicy())
"""What a pool without a policy allows."""


def check_allowed(url: str, reach: Reach) -> None:
    """Whether a source may be opened at all, as far as its URL says. Raises SourceError."""
    scheme = scheme_of(url)
    if scheme not in SCHEMES:
        raise SourceError(
            ErrorCode.UNSUPPORTED, f"the scheme {scheme!r} is not supported; use one of {', '.join(SCHEMES)}"
        )
    reach.check_scheme(scheme)
    if scheme != "file" and not urlsplit(url).hostname:
        raise SourceError(ErrorCode.UNSUPPORTED, "the address has no host")
    _check_port(url)


def _check_port(url: str) -> None:
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise SourceError(ErrorCode.UNSUPPORTED, "the port in the address must be a number from 0 to 65535") from None
