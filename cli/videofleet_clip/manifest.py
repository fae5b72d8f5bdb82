"""A VideoJob from a file, as `kubectl apply` takes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from videofleet_api.videojob import VideoJobSpec
from videofleet_clip.errors import ClipError

KIND: Final = "VideoJob"


def read(path: Path) -> VideoJobSpec:
    """The spec of the one VideoJob in a file. Raises ClipError, naming the field.

    Unknown fields are refused, as the API server does: of a misspelt one nobody would notice that it has no effect.
    """
    found = _document(path)
    try:
        spec = VideoJobSpec.model_validate(found["spec"])
    except ValidationError as error:
        lines = [f"spec.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ClipError(f"{path}: {'; '.join(lines)}") from None
    known = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if unknown := list(_unknown(found["spec"], known, "spec")):
        raise ClipError(f"{path}: no such field: {', '.join(unknown)}")
    return spec


def _document(path: Path) -> dict[str, Any]:
    """The one VideoJob; what else lies beside it, a Secret for example, is for the cluster."""
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each is not None]
    except (OSError, UnicodeDecodeError) as error:
        raise ClipError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ClipError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    jobs = [each for each in documents if isinstance(each, dict) and each.get("kind") == KIND]
    if len(jobs) != 1 or not isinstance(jobs[0].get("spec"), dict):
        raise ClipError(f"{path} holds {len(jobs)} VideoJobs: it needs one, with `kind: {KIND}` and a spec")
    return jobs[0]


def _unknown(given: Any, known: Any, place: str) -> Iterator[str]:
    """What was given and is in no model."""
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            if name in known:
                yield from _unknown(value, known[name], f"{place}.{name}")
            else:
                yield f"{place}.{name}"
    elif isinstance(given, list) and isinstance(known, list):
        for at, (one, other) in enumerate(zip(given, known, strict=False)):
            yield from _unknown(one, other, f"{place}[{at}]")
