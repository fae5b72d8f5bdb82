"""What a client of F wants of a job: the attributes that it may give. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from videofleet_api.redaction import redact_url
from videofleet_gateway.dialects.f import settings
from videofleet_gateway.dialects.f.settings import Settings
from videofleet_gateway.errors import invalid

_READ_ONLY: Final = frozenset(
    {
        *("id", "status", "status_msg", "statistic", "restream_url", "restream_direct_url", "shots_url"),
        *("worker_id", "version"),
    }
)
"""Attributes that a client may send back as it got them."""
_LONGEST_LABEL: Final = 256
_MOST_LABELS: Final = 64
_MOST_EXTRA: Final = 64
_LONGEST_EXTRA: Final = 8192


@dataclass(frozen=True)
class Wanted:
    """A job as its client describes it. `stream_settings` is complete: every key that has a value."""

    stream_url: str = field(repr=False)
    enabled: bool = True
    single_pass: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    router_url: str = field(default="", repr=False)
    router_events_url: str = field(default="", repr=False)
    stream_settings: Settings = field(default_factory=dict, repr=False)
    stream_settings_gpu: Settings = field(default_factory=dict, repr=False)

    @property
    def has_router(self) -> bool:
        """Whether somebody gets best shots or events."""
        return bool(self.router_url or self.router_events_url)


def masked(wanted: Wanted) -> Wanted:
    """The job for those who may not change it: addresses without credentials, and no headers."""
    kept = {key: value for key, value in wanted.stream_settings.items() if key != "router_headers"}
    return replace(
        wanted,
        stream_url=redact_url(wanted.stream_url),
        router_url=redact_url(wanted.router_url),
        router_events_url=redact_url(wanted.router_events_url),
        stream_settings=kept | {"router_headers": []},
    )


@dataclass(frozen=True)
class Edit:
    """Attributes that a request gives, checked, and what it is to be warned of."""

    given: dict[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()


def edit(body: Mapping[str, Any]) -> Edit:
    """The attributes in a body. Raises GatewayError."""
    given: dict[str, Any] = {}
    warnings: list[str] = []
    for name, value in body.items():
        if name in _CHECKS:
            given[name] = _CHECKS[name](name, value)
        elif name not in _READ_ONLY:
            warnings.append(f"{name[:64]} is no attribute of a job, and is ignored")
    idle = settings.idle(given.get("stream_settings") or {})
    warnings += [f"stream_settings.{key[:64]} is kept and has no effect" for key in idle]
    if given.get("stream_settings_gpu"):
        warnings.append("stream_settings_gpu is deprecated: use stream_settings")
    return Edit(given, tuple(warnings))


def created(change: Edit, base: Settings) -> Wanted:
    """A new job. `base`: settings of the video-manager's file. Raises GatewayError."""
    if not change.given.get("stream_url"):
        raise invalid("stream_url", "stream_url: a job needs the address of a stream or a file")
    bare = Wanted("", stream_settings=settings.layered(settings.DEFAULTS, base))
    return changed(bare, change, base)


def changed(before: Wanted, change: Edit, base: Settings) -> Wanted:
    """The job with the given attributes changed, settings key by key. Raises GatewayError."""
    given = {name: value for name, value in change.given.items() if not name.startswith("stream_settings")}
    if given.get("stream_url") == "":
        raise invalid("stream_url", "stream_url: a job needs the address of a stream or a file", "")
    after = replace(before, **given)
    both = _with_settings(before, after, change, settings.layered(settings.DEFAULTS, base))
    if not both.has_router and (change.given.get("stream_settings") or {}).get("router_headers"):
        message = "router_url: it or router_events_url is needed where router_headers are given: nobody else gets them"
        raise invalid("router_url", message, "")
    return both


def _with_settings(before: Wanted, after: Wanted, change: Edit, base: Settings) -> Wanted:
    gpu_before = before.stream_settings_gpu
    # What stands there because of the file or of the deprecated settings is not the job's own.
    inherited = settings.layered(base, settings.known(gpu_before))
    own = {key: value for key, value in before.stream_settings.items() if inherited.get(key) != value}
    if not before.has_router:
        # Without a router no headers are kept: that there are none was nobody's wish.
        own.pop("router_headers", None)
    own |= change.given.get("stream_settings") or {}
    given_gpu = change.given.get("stream_settings_gpu")
    gpu = gpu_before if given_gpu is None else settings.layered(gpu_before | given_gpu)
    # A key that is taken back falls to what is below, it does not take that away too.
    kept = {key: value for key, value in own.items() if value is not None}
    effective = settings.layered(base, settings.known(gpu), kept)
    return replace(after, stream_settings=effective, stream_settings_gpu=gpu)


def _bool(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise invalid(name, f"{name}: must be true or false", value)
    return value


def _text(name: str, value: object) -> str:
    if value is None and name != "stream_url":
        return ""
    if not isinstance(value, str):
        raise invalid(name, f"{name}: must be a text", value)
    return value


def _labels(name: str, value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise invalid(name, f"{name}: must be an object of texts", value)
    if len(value) > _MOST_LABELS or any(len(item) > _LONGEST_LABEL for item in value.values()):
        raise invalid(name, f"{name}: at most {_MOST_LABELS}, each of at most {_LONGEST_LABEL} characters", value)
    return value


def _settings(name: str, value: object) -> Settings:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, f"{name}: must be an object", value)
    if len(value) > _MOST_EXTRA or any(len(orjson.dumps(item)) > _LONGEST_EXTRA for item in value.values()):
        raise invalid(name, f"{name}: at most {_MOST_EXTRA} keys, each of at most {_LONGEST_EXTRA} bytes of JSON")
    return settings.checked(value, name)


_CHECKS: Final = {
    "stream_url": _text,
    "enabled": _bool,
    "single_pass": _bool,
    "labels": _labels,
    "router_url": _text,
    "router_events_url": _text,
    "stream_settings": _settings,
    "stream_settings_gpu": _settings,
}
