"""Addresses that clients post: where they may lead, and what of them must not stand in a spec. Pure.

What an address says by itself is refused here, early and in words: numbers, and names that stand for closed addresses
wherever they lead anywhere. Other names are resolved, checked and pinned by the worker that connects.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from videofleet_api.outputs import OutputPolicy
from videofleet_api.reach import AddressPolicy, is_disguised, is_numeric
from videofleet_api.redaction import holds_secret_values
from videofleet_api.source import BAD_REGION, MAX_URL, REGION, SourcePolicy
from videofleet_gateway.config import SOURCE_SCHEMES

LONGEST: Final = 16384
"""Characters of an address that is posted; those of object stores that carry a session are the longest."""
_POSTED_SCHEMES: Final = ("http", "https")
_LOCAL_SCHEMES: Final = ("file", "test")
"""Of addresses that lead to no host."""
_GROUP_SCHEME: Final = "udp"
_BUCKET_SCHEME: Final = "s3"
_SPACE: Final = re.compile(r"[\s\x00-\x1f\x7f]")
_IN_AUTHORITY: Final = re.compile(r"([^/?#]*)@([^/?#@]*.*)", re.DOTALL)
_PASSWORD_WITH_SLASH: Final = re.compile(r"([^/?#:\[]*:.*)@([^@]*)", re.DOTALL)
_PORT_THEN_PATH: Final = re.compile(r"[^/?#:\[]*:[0-9]{0,5}([/?#].*)?", re.DOTALL)


class UrlError(ValueError):
    """An address that is not taken; the message says why, and holds nothing of it but scheme and host."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What stands before the @ of an address, percent-decoded."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Address:
    """A source's address without user and password. `secret`: it must not stand in a spec even so."""

    url: str = field(repr=False)
    credentials: Credentials | None
    secret: bool


class UrlPolicy:
    """Where sources may be and where results may go, as far as an address says it by itself."""

    def __init__(
        self,
        sources: SourcePolicy | None = None,
        outputs: OutputPolicy | None = None,
        own: Sequence[str] = (),
    ) -> None:
        """`own`: see AddressPolicy."""
        sources, outputs = sources or SourcePolicy(), outputs or OutputPolicy()
        self._source_schemes = tuple(sources.schemes) or SOURCE_SCHEMES
        self._output_schemes = tuple(outputs.schemes) or _POSTED_SCHEMES
        self._sources = AddressPolicy("the source policy", sources.allowed_cidrs, sources.denied_cidrs, own)
        self._outputs = AddressPolicy("the output policy", outputs.allowed_cidrs, outputs.denied_cidrs, own)

    def source(self, url: str) -> Address:
        """The parts of a source's address. Raises UrlError."""
        scheme = _scheme(url, self._source_schemes)
        bare, credentials = split_credentials(url)
        parts = _parts(bare)
        if scheme == _BUCKET_SCHEME:
            self._check_store(parts)
        elif scheme not in _LOCAL_SCHEMES:
            _check_host(parts, self._sources, group=scheme == _GROUP_SCHEME)
        return Address(bare, credentials, holds_secret_values(bare) or len(bare) > MAX_URL)

    def _check_store(self, parts: SplitResult) -> None:
        """Of an object in a bucket: the bucket is no host, the store that has it is. Raises UrlError."""
        if not parts.netloc:
            raise UrlError("the address has no bucket: write it as s3://BUCKET/KEY")
        given = parse_qsl(parts.query, keep_blank_values=True)
        if any(key == "region" and not REGION.fullmatch(value) for key, value in given):
            raise UrlError(f"region: {BAD_REGION}")
        for endpoint in (value for key, value in given if key == "endpoint"):
            try:
                _scheme(endpoint, _POSTED_SCHEMES)
                if split_credentials(endpoint)[1] is not None:
                    raise UrlError("it must not hold a user or a password")
                _check_host(_parts(endpoint), self._sources)
            except UrlError as error:
                raise UrlError(f"endpoint: {error}") from None

    def output(self, url: str) -> None:
        """Look at where results are to be posted. Raises UrlError."""
        _scheme(url, [scheme for scheme in self._output_schemes if scheme in _POSTED_SCHEMES])
        if len(url) > MAX_URL:
            raise UrlError(f"the address has {len(url)} characters, at most {MAX_URL} are taken")
        _check_host(_parts(split_credentials(url)[0]), self._outputs)


def is_secret(url: str) -> bool:
    """Whether an address holds what must not stand in a spec. One that can be read in two ways is none that is taken:
    somebody else has put it there."""
    try:
        return split_credentials(url)[1] is not None or holds_secret_values(url)
    except UrlError:
        return holds_secret_values(url)


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """The address without what stands before its @, and that. Raises UrlError where it can be read in two ways.

    Passwords are found that hold an unescaped `/`, `?` or `#`: such an address looks as if its host were the user and
    its port the first part of the password.
    """
    scheme, separator, rest = url.partition("://")
    found = _IN_AUTHORITY.fullmatch(rest) or (_PASSWORD_WITH_SLASH.fullmatch(rest) if "@" in rest else None)
    if found is None:
        return url, None
    user, remainder = found.groups()
    if _IN_AUTHORITY.fullmatch(rest) is None and _PORT_THEN_PATH.fullmatch(rest):
        raise UrlError("an @ behind the host can be part of the path or end a password: write it %40")
    name, _, password = user.partition(":")
    return f"{scheme}{separator}{remainder}", Credentials(unquote(name), unquote(password))


def _scheme(url: str, allowed: Sequence[str]) -> str:
    if len(url) > LONGEST:
        raise UrlError(f"the address has {len(url)} characters, at most {LONGEST} are taken")
    if _SPACE.search(url):
        raise UrlError("the address holds spaces or line breaks: a space is written %20")
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in allowed:
        raise UrlError(f"the address must begin with {' or '.join(f'{each}://' for each in allowed)}")
    return scheme


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UrlError("the address cannot be read: host or port are not written as HOST or HOST:PORT") from None
    return parts


def _check_host(parts: SplitResult, policy: AddressPolicy, *, group: bool = False) -> None:
    host = parts.hostname
    if not host:
        raise UrlError("the address has no host")
    if is_disguised(host):
        raise UrlError(f"{host} is no address and no name: an IPv4 address is written as four numbers")
    refusal = policy.group_refusal(host) if group and is_numeric(host) else policy.host_refusal(host)
    if refusal is not None:
        raise UrlError(f"{host} must not be reached: {refusal}")
