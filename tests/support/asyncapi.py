"""AsyncAPI documents of the gateway, held against the specification and against what is really sent."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft7Validator, Draft202012Validator

from videofleet_gateway.dialects.v.asyncapi import DOCUMENT

_SPECIFICATION: Final = Path(__file__).parent / "jsclients/node_modules/@asyncapi/specs/schemas/3.0.0.json"


def check_document(document: dict[str, Any]) -> None:
    """Raises jsonschema's ValidationError where it is no AsyncAPI 3.0."""
    Draft7Validator(json.loads(_SPECIFICATION.read_text(encoding="utf-8"))).validate(document)


def check_chunks(chunks: Iterable[object]) -> None:
    """Raises jsonschema's ValidationError for data of a stream that is not what V's document says."""
    payload = DOCUMENT["channels"]["taskStream"]["messages"]["chunk"]["payload"]
    validator = Draft202012Validator({**payload, "components": DOCUMENT["components"]})
    for chunk in chunks:
        validator.validate(chunk)
