"""Where the video of a job comes from."""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.rules import rules


class SecretRef(Document):
    """A Secret in the namespace of the job."""

    name: str = Field(min_length=1, max_length=253, description="Name of the Secret.")


class SecretKeyRef(SecretRef):
    """One key of a Secret in the namespace of the job."""

    key: str = Field(min_length=1, max_length=253, description="Key within the Secret.")


class Transport(StrEnum):
    """How RTSP media travel."""

    AUTO = "auto"
    TCP = "tcp"
    UDP = "udp"


class Rotation(StrEnum):
    """How far pictures are turned, clockwise."""

    AUTO = "auto"
    NONE = "0"
    RIGHT = "90"
    OVER = "180"
    LEFT = "270"


class SourceKind(StrEnum):
    """Whether a source is endless."""

    AUTO = "auto"
    LIVE = "live"
    RECORDED = "recorded"


MAX_URL: Final = 2083
"""Characters of an address; as browsers have it."""
SCHEMES: Final = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "s3", "udp", "file", "test")
"""Of the addresses that a job may name."""
REGION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Of an object store, in an s3:// address. It becomes a part of the name of Amazon's host: nothing in it may end
that name."""
BAD_REGION: Final = "it must be 1 to 64 letters, digits, - or _, for example eu-west-1"
LIVE_SCHEMES: Final = ("rtsp", "rtsps", "rtmp", "rtmps", "udp")
"""Of those that have no end."""
_NAMED = [f"{scheme}://" for scheme in SCHEMES]
_LISTED = f"{', '.join(_NAMED[:-1])} or {_NAMED[-1]}"

_SCHEME = "^[a-zA-Z][a-zA-Z0-9+.-]*://"
_IPV6 = r"\[[0-9a-fA-F:.]+\]"
_USER_PART = rf"{_SCHEME}([^/?#]*@|([^/?#:\[][^/?#:]*)?:.*@)"
"""A user part, also one whose password holds an unescaped `/`, `?` or `#`: such a URL looks as if its host were the
user and its port the first half of the password, so behind a colon no `@` may come at all."""


def _url(pattern: str, *, holds: bool = True) -> str:
    """The CEL rule that the url, where there is one, matches the pattern (or does not)."""
    return f"!has(self.url) || {'' if holds else '!'}self.url.matches(r'{pattern}')"


ImageUrl = Annotated[str, Field(min_length=1, max_length=512)]


class Source(Document):
    """Where the video comes from."""

    model_config = rules(
        (
            "[has(self.url), has(self.urlSecretRef), has(self.images)].filter(given, given).size() == 1",
            "give exactly one of url, urlSecretRef and images",
        ),
        (
            "!has(self.images) || self.images.all(image, image.matches('^https?://[^/?#@[:space:]]+([/?#][^@[:space:]]*)?$'))",
            "images must begin with http:// or https://, and hold neither a user or a password nor spaces "
            "(an @ that belongs to the path is written %40)",
        ),
        (
            "!has(self.images) || !has(self.kind) || self.kind != 'live'",
            "images have an end: kind live does not go with them",
        ),
        (_url(f"^({'|'.join(SCHEMES)})://"), f"url must begin with {_LISTED}"),
        (
            _url(_USER_PART, holds=False),
            "url must not hold a user or a password: put them under the keys username and password of a Secret "
            "and name it in credentialsSecretRef (an @ that belongs to the path is written %40)",
        ),
        (
            _url(rf"{_SCHEME}([^/?#@:\[]|@|{_IPV6})|^file:///[^/]"),
            "url has no host: write it as rtsp://HOST/PATH or https://HOST/PATH, a file as file:///media/NAME/PATH",
        ),
        (
            _url(rf"{_SCHEME}([^/?#:]*|{_IPV6})(:[0-9]{{0,5}})?([/?#]|$)|@"),
            "the port in url must be a number",
        ),
        (_url("[[:space:][:cntrl:]]", holds=False), "url must not hold spaces or line breaks: a space is written %20"),
    )

    url: str | None = Field(
        None,
        max_length=MAX_URL,
        description="Address of the camera, file or playlist: rtsp, rtsps, rtmp, rtmps, http or https (also HLS), "
        "udp://GROUP:PORT or udp://0.0.0.0:PORT (a transport stream that is sent there), or file:///media/NAME/PATH "
        "of the pool's mediaMounts, or s3://BUCKET/KEY?region=REGION&endpoint=https://HOST. "
        "Without user and password. test://pattern is a picture made by the worker: moving boxes, with "
        "?width=1280&height=720&fps=25&frames=300&objects=5&seed=1, and faults by &fail=network@100.",
    )
    url_secret_ref: SecretKeyRef | None = Field(None, description="Takes the address from a Secret instead.")
    images: list[ImageUrl] | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Takes pictures instead, each at an http or https address: a frame each, a second apart. JPEG, "
        "PNG, WebP, BMP or TIFF.",
    )
    credentials_secret_ref: SecretRef | None = Field(
        None,
        description="Secret with the keys username and password for the source; for s3 an access key's id and the "
        "secret that belongs to it, and sessionToken where there is one.",
    )
    transport: Transport = Field(
        Transport.AUTO, description="How RTSP media travel: tcp, udp, or auto (tcp first, then udp)."
    )
    kind: SourceKind = Field(
        SourceKind.AUTO,
        description="live: endless, frames are dropped rather than late. recorded: has an end, every frame counts. "
        "auto: rtsp, rtmp and udp are live, a file is recorded, moving JPEG over HTTP is live, HLS is live until its "
        "playlist is closed, test is live without frames.",
    )
    rotation: Rotation = Field(
        Rotation.AUTO, description="Degrees by which pictures are turned clockwise; auto: as the container says."
    )


class RangeUnit(StrEnum):
    """What a range counts."""

    SECONDS = "seconds"
    FRAMES = "frames"


class Range(Document):
    """A part of a recorded source."""

    model_config = rules(
        ("!has(self.end) || self.start < self.end", "start must be smaller than end"),
        (
            "self.unit != 'frames' || double(int(self.start)) == double(self.start) && "
            "(!has(self.end) || double(int(self.end)) == double(self.end))",
            "start and end must be whole numbers for the unit frames",
        ),
    )

    start: float = Field(0, ge=0, le=1000000000, description="Where it begins; this frame is in it.")
    end: float | None = Field(
        None, gt=0, le=1000000000, description="Where it ends; this frame is not in it. Without it the source's end."
    )
    unit: RangeUnit = Field(
        RangeUnit.SECONDS, description="seconds since the first frame, or numbers of frames from 0."
    )


Scheme = Annotated[str, Field(json_schema_extra={"enum": list(SCHEMES)})]


Cidr = Annotated[str, Field(min_length=1, max_length=64)]
CIDR_RULES = tuple(
    (
        f"!has(self.{name}) || self.{name}.all(range, isCIDR(range))",
        f"{name} must be ranges of addresses, for example 10.20.0.0/16",
    )
    for name in ("allowedCidrs", "deniedCidrs")
)
"""Of every policy that says where connections may go."""


class SourcePolicy(Document):
    """Where the sources of a pool's jobs may be."""

    model_config = rules(*CIDR_RULES)

    schemes: list[Scheme] = Field(
        default_factory=list, max_length=len(SCHEMES), description="Only addresses that begin so; empty: all."
    )
    allowed_cidrs: list[Cidr] = Field(
        default_factory=list,
        max_length=64,
        description="Only hosts within these ranges of addresses; empty: all. Loopback, link-local addresses, groups, "
        "the metadata services of clouds and the API server are closed unless a range within theirs is named, "
        "for example 169.254.20.0/24.",
    )
    denied_cidrs: list[Cidr] = Field(
        default_factory=list, max_length=64, description="No hosts within these ranges, whatever allowedCidrs says."
    )
