"""stream_settings of F: which keys there are, what they are without being given, and which of them do something. Pure.

A key that is set on a job wins over the file of the video-manager, and that over the service's default.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import AfterValidator, Field, Strict, TypeAdapter, ValidationError

from videofleet_api.environment import ConfigError
from videofleet_api.source import Transport
from videofleet_gateway.errors import GatewayError, invalid

Settings = dict[str, Any]

_LONGEST_TIMEOUT: Final = 300_000
_PAIR: Final = re.compile(r"\s*([^=:\s][^=:]*)[=:](.*)", re.DOTALL)
_TRANSPORTS: Final = ("auto", "tcp", "udp")
_TRANSPORT_OPTION: Final = "rtsp_transport"
SLOWEST: Final = 0.1
FASTEST: Final = 100.0
_HEADER: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


class SettingsError(ConfigError):
    """The video-manager's file is not usable; the message says why."""


def pair(text: str) -> tuple[str, str]:
    """The two halves of `key = value`, also written `key: value`. Raises ValueError."""
    found = _PAIR.fullmatch(text)
    if found is None:
        raise ValueError("each entry must be written as 'key = value'")
    key, value = found.groups()
    return key.strip(), value.strip(" ")


def _pairs(entries: list[str]) -> list[str]:
    for entry in entries:
        pair(entry)
    return entries


def _headers(given: list[str]) -> list[str]:
    """What a Secret can hold as keys, and a header as a value."""
    for name, value in map(pair, given):
        if not _HEADER.fullmatch(name) or not value.isprintable():
            raise ValueError("a header has a name of letters, digits, - _ . and a value without line breaks")
    return given


def _options(entries: list[str]) -> list[str]:
    """FFmpeg can be told to open files and to run others' code: only options that are known to be harmless pass."""
    allowed = [f"{_TRANSPORT_OPTION}={name}" for name in _TRANSPORTS]
    for entry in entries:
        if "=".join(pair(entry)) not in allowed:
            raise ValueError(f"options that may be given are {', '.join(allowed)}; {entry[:40]!r} is none of them")
    return entries


def _speed(value: float) -> float:
    if value > 0 and not SLOWEST <= value <= FASTEST:
        raise ValueError(
            f"a speed is from {SLOWEST} to {FASTEST}; a negative one is none, and what is recorded is "
            "analysed as fast as possible"
        )
    return value


_Bool = Annotated[bool, Strict()]
_Text = Annotated[str, Strict(), Field(max_length=64)]
_Entry = Annotated[str, Strict(), Field(max_length=1024)]
# With cam_id they are as many as a VideoJob's router may have.
_Pairs = Annotated[list[_Entry], Field(max_length=31), AfterValidator(_pairs)]
_Headers = Annotated[list[_Entry], Field(max_length=32), AfterValidator(_headers)]

_KNOWN: Final[dict[str, tuple[Any, TypeAdapter[Any]]]] = {
    "play_speed": (
        -1,
        TypeAdapter(Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_speed)]),
    ),
    "disable_drops": (False, TypeAdapter(_Bool)),
    "imotion_threshold": (0, TypeAdapter(Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)])),
    "router_timeout_ms": (15000, TypeAdapter(Annotated[int, Field(strict=True, ge=1, le=_LONGEST_TIMEOUT)])),
    "router_verify_ssl": (True, TypeAdapter(_Bool)),
    "router_headers": ([], TypeAdapter(_Headers)),
    "router_body": ([], TypeAdapter(_Pairs)),
    "ffmpeg_params": ([], TypeAdapter(Annotated[list[_Entry], Field(max_length=32), AfterValidator(_options)])),
    "ffmpeg_format": ("", TypeAdapter(_Text)),
}
DEFAULTS: Final[Settings] = {key: default for key, (default, _) in _KNOWN.items()}
"""Of the service, as the vendor's own sample has them."""
ROUTER: Final = frozenset({"router_timeout_ms", "router_verify_ssl", "router_headers", "router_body"})
EFFECTIVE: Final = ROUTER | {"ffmpeg_params", "play_speed"}
"""Keys that something goes by; the others are kept and shown again."""


def checked(given: Mapping[str, object], param: str = "stream_settings") -> Settings:
    """Settings that a client gives, `None` where a key is to be as if never given. Raises GatewayError."""
    return {key: value if value is None else _checked(key, value, param) for key, value in given.items()}


def _checked(key: str, value: object, param: str) -> object:
    if key not in _KNOWN:
        return value
    try:
        _KNOWN[key][1].validate_python(value)
    except ValidationError as error:
        message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        # Headers are mostly there to hold a token.
        told = None if key == "router_headers" else value
        raise _wrong(f"{param}.{key}", message, told) from None
    return value


def _wrong(param: str, message: str, value: object) -> GatewayError:
    return invalid(param, f"{param}: {message}", value)


def layered(*layers: Mapping[str, Any]) -> Settings:
    """Later layers win, key by key; `None` takes the key from the layers before."""
    effective: Settings = {}
    for layer in layers:
        effective |= {key: value for key, value in layer.items() if value is not None}
    return effective


def known(given: Mapping[str, Any]) -> Settings:
    """Those of the deprecated settings that stream_settings has too."""
    return {key: value for key, value in given.items() if key in _KNOWN}


def idle(given: Mapping[str, Any]) -> list[str]:
    """The keys that a client gives and that have no effect as they are given."""
    return [key for key, value in given.items() if key not in EFFECTIVE and value not in (None, DEFAULTS.get(key))]


def speed(settings: Mapping[str, Any]) -> float | None:
    """How many times as fast as it plays a recorded source may be analysed at most; None: as fast as possible."""
    given = settings.get("play_speed")
    return given if isinstance(given, int | float) and given > 0 else None


def transport(settings: Mapping[str, Any]) -> Transport:
    """How RTSP media travel; the last option counts."""
    chosen = [pair(entry)[1] for entry in settings.get("ffmpeg_params") or ()]
    return Transport(chosen[-1]) if chosen else Transport.AUTO


def from_transport(chosen: Transport) -> list[str]:
    """`transport` the other way round."""
    return [] if chosen is Transport.AUTO else [f"{_TRANSPORT_OPTION}={chosen.value}"]


def pairs(entries: list[str]) -> dict[str, str]:
    """Entries by their keys."""
    return dict(pair(entry) for entry in entries)


def entries(values: Mapping[str, str]) -> list[str]:
    """`pairs` the other way round, as the vendor writes it."""
    return [f"{key} = {value}" for key, value in values.items()]


def of_file(path: Path | None) -> Settings:
    """`stream_settings` of a video-manager.yaml. Raises SettingsError."""
    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: {error}") from error
    found = document.get("stream_settings") if isinstance(document, dict) else None
    if found is not None and not isinstance(found, dict):
        raise SettingsError(f"{path}: stream_settings must be a mapping")
    try:
        return layered(checked({str(key): value for key, value in (found or {}).items()}))
    except GatewayError as error:
        raise SettingsError(f"{path}: {error.message}") from error
