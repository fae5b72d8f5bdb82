"""Specs of VideoJobs, held once for all jobs that want the same of different sources.

Where jobs are made by a template their specs differ in the address alone, and a parsed spec is the largest part of a
job: ten thousand jobs then share one. Where labels or Secrets differ too, the other parts are still shared.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from pydantic import ValidationError

from videofleet_api.source import MAX_URL
from videofleet_api.videojob import VideoJobSpec
from videofleet_operator.services.payload import secret_names

_SHAPES: Final = 512
"""Different ones that are known for sharing; what is pushed out is held by those that have it, and not shared again."""
_PARTS: Final = ("sampling", "analytics", "restart", "outputs", "schedule", "worker_selector")
"""What jobs of one fleet mostly have in common."""
_parts: dict[tuple[str, str], Any] = {}


@dataclass(frozen=True, slots=True)
class Shape:
    """A spec without its source's address. `spec` None: it cannot be read, `error` says why."""

    spec: VideoJobSpec | None
    error: str = ""
    secrets: tuple[str, ...] = ()
    """Names of the Secrets that it needs, in order."""


def split(raw: object) -> tuple[Shape, str | None]:
    """The shape of a spec in its JSON form, and the address that was taken out of it."""
    source = raw.get("source") if isinstance(raw, dict) else None
    url = source.get("url") if isinstance(source, dict) else None
    if not isinstance(raw, dict) or not isinstance(source, dict) or not isinstance(url, str) or len(url) > MAX_URL:
        # Without an address, or what is wrong with it is to be told.
        return _shape(orjson.dumps(raw)), None
    bare = {key: value for key, value in source.items() if key != "url"}
    return _shape(orjson.dumps(raw | {"source": bare})), url


def joined(spec: VideoJobSpec, url: str | None) -> VideoJobSpec:
    """The spec with its address."""
    if url is None:
        return spec
    return spec.model_copy(update={"source": spec.source.model_copy(update={"url": url})})


@lru_cache(_SHAPES)
def _shape(text: bytes) -> Shape:
    value: Any = orjson.loads(text)
    try:
        spec = VideoJobSpec.model_validate(value)
        return Shape(_sharing(spec), secrets=tuple(sorted(secret_names(spec))))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(("spec", *map(str, first["loc"])))
        return Shape(None, f"{field}: {first['msg']}")


def _sharing(spec: VideoJobSpec) -> VideoJobSpec:
    """The same spec, made of parts that other specs have."""
    if len(_parts) > _SHAPES:
        _parts.clear()
    # The parts have no hash; what they show of themselves is all that they hold.
    parts = ((part, getattr(spec, part)) for part in _PARTS)
    return spec.model_copy(
        update={part: _parts.setdefault((part, repr(value)), value) for part, value in parts if value}
    )
