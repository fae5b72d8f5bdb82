"""A VideoJob from what was given on the command line."""

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from kubectl_videojob.cluster import Json
from kubectl_videojob.errors import UserError
from videofleet_api.names import API_VERSION
from videofleet_api.videojob import SamplingMode, VideoJobSpec

KIND: Final = "VideoJob"
_MANIFESTS: Final = frozenset({".yaml", ".yml", ".json"})
_LONGEST_NAME: Final = 50


def base(source: str) -> Json:
    """A manifest to begin with: that of a file, or one with the address as its source."""
    if "://" in source:
        spec = {"source": {"url": source}, "analytics": [{"steps": [{"model": "detect"}, {"model": "track"}]}]}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name_of(source)}, "spec": spec}
    path = Path(source)
    if path.suffix.lower() in _MANIFESTS:
        return _read(path)
    if path.exists():
        raise UserError(f"{source}: workers cannot read files of this machine: serve it over HTTP and give its address")
    raise UserError(f"{source}: give an address such as rtsp://HOST/PATH, or a manifest (.yaml, .json) that exists")


def _read(path: Path) -> Json:
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if len(documents) != 1:
        raise UserError(f"{path} holds {len(documents)} documents: submit takes one VideoJob, kubectl apply any number")
    (found,) = documents
    if not isinstance(found, dict) or found.get("kind") != KIND or not isinstance(found.get("spec"), dict):
        raise UserError(f"{path} is no VideoJob: it needs `kind: {KIND}` and a spec")
    made: Json = {**found, "apiVersion": found.get("apiVersion", API_VERSION)}
    made["metadata"] = {"name": path.stem, **(found.get("metadata") or {})}
    return made


def name_of(address: str) -> str:
    """A name from the last part of an address, made unique."""
    parts = urlsplit(address)
    last = parts.path.rstrip("/").rpartition("/")[2] or (parts.hostname or "")
    plain = re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:_LONGEST_NAME].strip("-")
    return f"{plain or 'job'}-{secrets.token_hex(3)}"


def with_steps(spec: Json, model: str | None, parameters: Mapping[str, Any], track: bool) -> None:
    """Set the detection step, and whether a tracking step follows; other analytics stay as they are."""
    analytics = spec.setdefault("analytics", [{}])[0]
    steps: list[Json] = analytics.get("steps") or [{"model": "detect"}, {"model": "track"}]
    first = {**steps[0], **({"model": model} if model else {})}
    given = {key: value for key, value in parameters.items() if value is not None}
    if given:
        first["parameters"] = {**first.get("parameters", {}), **given}
    analytics["steps"] = [first, *(each for each in steps[1:] if track or each.get("model") != "track")]


def sampling(text: str) -> Json:
    """`all`, `keyframe`, `fps=5` or `interval=3` as spec.sampling."""
    mode, equals, value = text.partition("=")
    try:
        known = SamplingMode(mode)
        number = float(value) if equals else None
    except ValueError:
        raise UserError(f"--sampling {text}: give all, keyframe, fps=NUMBER or interval=NUMBER") from None
    return {"mode": known.value} | ({} if number is None else {"value": number})


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE arguments as a map."""
    result = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise UserError(f"{option} {each}: give KEY=VALUE")
        result[key] = value
    return result


def check(spec: Json) -> None:
    """Raises UserError naming the field. What the cluster's rules say beyond that, its API server tells."""
    try:
        VideoJobSpec.model_validate(spec)
    except ValidationError as error:
        lines = [f"spec.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise UserError("the VideoJob is not valid: " + "; ".join(lines)) from None
