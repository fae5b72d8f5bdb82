"""Where the results of a job go, besides the worker's own endpoints."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.rules import rules
from videofleet_api.source import CIDR_RULES, MAX_URL, Cidr, SecretKeyRef, SecretRef

OUTPUT_SCHEMES: Final = ("http", "https", "mqtt", "mqtts")
"""Ways by which results go to others."""
MAX_WEBHOOKS: Final = 8
TOPIC_FIELDS: Final = ("namespace", "name", "uid", "analytics", "event")
"""What may stand in braces in an MQTT topic."""


def _address(field: str) -> tuple[tuple[str, str], ...]:
    """The rules of an address that results are posted to. They stand at its parent, so that no answer quotes it."""
    each = f"self.{field}"
    return (
        (
            f"!has({each}) || {each}.matches('^https?://([^/?#:]+|[[][0-9a-fA-F:.]+[]])(:[0-9]{{1,5}})?([/?#]|$)') || "
            f"{each}.matches('^https?://[^/?#]*@')",
            f"{field} must be an address such as https://HOST/PATH or http://HOST:PORT/PATH",
        ),
        (
            f"!has({each}) || !{each}.matches('^https?://[^/?#]*@')",
            f"{field} must not hold a user or a password: put what the receiver wants to see into a Secret",
        ),
        (
            f"!has({each}) || !{each}.matches('[[:space:][:cntrl:]]')",
            f"{field} must not hold spaces or line breaks: a space is written %20",
        ),
    )


class ArchiveDetail(StrEnum):
    """What the log of results tells."""

    FRAMES = "frames"
    """Every analysed frame."""
    TRACKS = "tracks"
    """What happens; and of a live source, which has no summary, the tracks that have ended, a file an hour."""
    EVENTS = "events"
    """What happens: tracks that begin and end, and what they do in zones and at lines."""


class DeletionPolicy(StrEnum):
    """What becomes of a job's results when the job is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class ArchiveOutput(Document):
    """Results kept in the archive."""

    model_config = rules(
        (
            "!has(self.detail) || !has(self.enabled) || self.enabled",
            "detail has no meaning with enabled: false: of results that are not kept every frame is told to those who "
            "read along",
        ),
    )

    enabled: bool = Field(True, description="Whether results are kept.")
    detail: ArchiveDetail | None = Field(
        None,
        description="frames: every analysed frame. events: only what happens, that is tracks that begin and end, and "
        "what they do in zones and at lines. tracks: that, and of a live source its ended tracks, a file an hour. "
        "Without it frames of a recorded source and tracks of a live one. Of an analytics without a track step every "
        "frame is kept. Another detail begins a new run.",
    )
    max_bytes: int | None = Field(
        None,
        ge=1048576,
        le=1099511627776,
        description="Oldest results of a live source are dropped above this size; 256 MiB without it. "
        "Results of recorded sources are never dropped for their size.",
    )
    retention: float | None = Field(
        None,
        ge=3600,
        le=315360000,
        description="Seconds for which results are kept, also those of jobs that are over or deleted; without it seven "
        "days of a live source, and all of a recorded one. Changed while the job runs.",
    )
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.RETAIN,
        description="What becomes of the results when the job is deleted, also by its ttlSecondsAfterFinished: Retain "
        "keeps them for as long as retention says, Delete removes those of all its runs. May be changed at any time, "
        "also when the job is over.",
    )


FormField = Annotated[str, Field(max_length=1024)]


class RouterOutput(Document):
    """Who gets the best shot of every track, every event, or both."""

    model_config = rules(
        *_address("url"),
        *_address("eventsUrl"),
        *(
            (f"!has(self.{field}) || !has(self.{field}SecretRef)", f"give {field} or {field}SecretRef, not both")
            for field in ("url", "eventsUrl")
        ),
        (
            "has(self.url) || has(self.eventsUrl) || has(self.urlSecretRef) || has(self.eventsUrlSecretRef)",
            "a router needs url, for best shots, or eventsUrl, for events",
        ),
    )

    url: str | None = Field(
        None,
        max_length=MAX_URL,
        description="When a track ends its best shot is posted here, as multipart/form-data with the fields photo "
        "(JPEG, the object), frame (JPEG, the whole frame that it comes from) and meta (JSON), and those of body.",
    )
    events_url: str | None = Field(
        None, max_length=MAX_URL, description="Every event of a track, zone or line is posted here, as JSON."
    )
    url_secret_ref: SecretKeyRef | None = Field(
        None, description="Key of a Secret that holds url instead: an address with a user, a password or a token in it."
    )
    events_url_secret_ref: SecretKeyRef | None = Field(None, description="Key of a Secret that holds eventsUrl.")
    timeout: float = Field(15, gt=0, le=300, description="Seconds that a post may take.")
    verify_tls: bool = Field(True, description="false: any certificate of an https address is good enough.")
    headers_secret_ref: SecretRef | None = Field(
        None, description="Secret whose keys and values are sent as headers, for example Authorization."
    )
    body: dict[str, FormField] = Field(
        default_factory=dict, max_length=32, description="Further fields of the form that a best shot is posted with."
    )


class OutputEvent(StrEnum):
    """What receivers are told."""

    TRACK_BEGIN = "trackBegin"
    TRACK_END = "trackEnd"
    ZONE_ENTER = "zoneEnter"
    ZONE_LEAVE = "zoneLeave"
    ZONE_DWELL = "zoneDwell"
    LINE_CROSS = "lineCross"


class _Told(Document):
    """What a receiver of events is told."""

    interval: float | None = Field(
        None,
        ge=1,
        le=86400,
        description="Tell every so many seconds which tracks are there, while any are; without it that is not told.",
    )
    include_best_shots: bool = Field(
        False, description="Whether the best shot, as base64, goes along with the event trackEnd."
    )
    events: list[OutputEvent] = Field(
        default_factory=list, max_length=len(OutputEvent), description="Only these events; empty: all."
    )


class Webhook(_Told):
    """Who is told of events, with a signature."""

    model_config = rules(
        *_address("url"),
        ("has(self.url) != has(self.urlSecretRef)", "give exactly one of url and urlSecretRef"),
    )

    url: str | None = Field(None, max_length=MAX_URL, description="Events are posted here one by one, as JSON.")
    url_secret_ref: SecretKeyRef | None = Field(
        None, description="Key of a Secret that holds url instead: an address with a user, a password or a token in it."
    )
    secret_ref: SecretKeyRef | None = Field(
        None,
        description="Key of a Secret that posts are signed with: Videofleet-Signature is t=TIME,v1=HEX, the "
        "HMAC-SHA256 of TIME, a full stop and the body. Without it posts are not signed.",
    )


_NAMES = "|".join(TOPIC_FIELDS)
_BRACED = ", ".join(f"{{{name}}}" for name in TOPIC_FIELDS)


class Mqtt(_Told):
    """A broker of MQTT 3.1.1 that events are published to."""

    model_config = rules(
        (
            "self.host.matches('^([0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?|[0-9a-fA-F:.]+)$')",
            "host must be the name or the address of the broker alone, such as broker.example; the port is a field of "
            "its own, and credentials are in a Secret",
        ),
        (
            f"!has(self.topic) || self.topic.matches('^([^{{}}+#$[:cntrl:]]|[{{]({_NAMES})[}}])+$')",
            f"topic must be text without + # $ and line breaks; in braces may stand {_BRACED}",
        ),
        (
            "!has(self.tls) || self.tls || !has(self.verifyTls) || self.verifyTls",
            "verifyTls: false has no meaning without tls: true",
        ),
    )

    host: str = Field(min_length=1, max_length=253, description="The broker's name or address.")
    port: int | None = Field(
        None, ge=1, le=65535, description="The broker's port; without it 8883 with TLS, 1883 without."
    )
    tls: bool = Field(False, description="Whether the connection is secured.")
    verify_tls: bool = Field(True, description="false: any certificate of the broker is good enough.")
    credentials_secret_ref: SecretRef | None = Field(
        None,
        description="Secret with what the broker wants to see: username and password; and in ca.crt, if need be, the "
        "certificates (PEM) that the broker's is checked against.",
    )
    topic: str = Field(
        "videofleet/{namespace}/{name}/{event}",
        min_length=1,
        max_length=256,
        description="Where events are published. In braces may stand " + ", ".join(TOPIC_FIELDS) + ".",
    )
    qos: int = Field(
        1, ge=0, le=1, description="1: the broker acknowledges each message, else it is sent again; 0: it does not."
    )


class Outputs(Document):
    """Where results go."""

    archive: ArchiveOutput = Field(default_factory=ArchiveOutput, description="Results kept in the archive.")
    router: RouterOutput | None = Field(
        None, description="Who gets the best shot of every track, every event, or both. Changed while the job runs."
    )
    webhooks: list[Webhook] = Field(
        default_factory=list, max_length=MAX_WEBHOOKS, description="Who is told of events. Changed while the job runs."
    )
    mqtt: Mqtt | None = Field(
        None, description="The MQTT broker that events are published to. Changed while the job runs."
    )


OutputScheme = Annotated[str, Field(json_schema_extra={"enum": list(OUTPUT_SCHEMES)})]


class OutputPolicy(Document):
    """Where the workers of a pool may post results to."""

    model_config = rules(*CIDR_RULES)

    schemes: list[OutputScheme] = Field(
        default_factory=list,
        max_length=len(OUTPUT_SCHEMES),
        description="Only by these ways; empty: by all. mqtts is MQTT with TLS.",
    )
    allowed_cidrs: list[Cidr] = Field(
        default_factory=list,
        max_length=64,
        description="Only receivers within these ranges of addresses; empty: all. Loopback, link-local addresses, "
        "groups, the metadata services of clouds and the API server are closed unless a range within theirs is named.",
    )
    denied_cidrs: list[Cidr] = Field(
        default_factory=list, max_length=64, description="No receivers within these ranges, whatever allowedCidrs says."
    )
