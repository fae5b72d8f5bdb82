"""Values for every property of a CRD's spec, drawn from its schema."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import hypothesis
import yaml
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

Json = dict[str, Any]
Property = tuple[str, ...]
CRDS = Path(__file__).resolve().parents[2] / "crds"
_SCALAR = frozenset(
    (
        *("type", "enum", "pattern", "multipleOf", "minLength", "maxLength"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    )
)
_LONGEST = 64
"""Characters; longer texts only cost time."""

_LIKELY: Mapping[Property, st.SearchStrategy[Any]] = {
    ("source", "url"): st.from_regex(
        r"(rtsps?|https?)://[a-z]{1,9}\.example(:[0-9]{1,4})?/[a-z0-9/]{0,9}", fullmatch=True
    ),
    ("source", "images"): st.lists(
        st.from_regex(r"https?://[a-z]{1,9}\.example/[a-z]{1,9}", fullmatch=True), min_size=1, max_size=3
    ),
}
"""Where nearly all that the schema allows is refused by a rule."""


def spec_schema(plural: str) -> Json:
    """The schema of `spec` in a checked-in CRD."""
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text(encoding="utf-8"))
    schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def properties(schema: Json, path: Property = ()) -> Iterator[tuple[Property, Json]]:
    """Every property below a schema, objects before what is in them. Items of lists belong to their list."""
    for name, inner in schema.get("properties", {}).items():
        yield (*path, name), inner
        yield from properties(inner, (*path, name))


@dataclass(frozen=True, slots=True)
class Change:
    """A property with the values that it is set to, one after the other."""

    path: Property
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        """A name for an object that is made for it; that of a pool has at most 40 characters."""
        return "-".join(self.path).lower()[-40:].lstrip("-")


def changes(plural: str, seed: int, most: Mapping[Property, int], count: int = 2) -> list[Change]:
    """`count` values for every property of a kind's spec. `most`: upper bounds of what would cost the machine much."""
    strategies = {
        path: st.tuples(*[_LIKELY[path] if path in _LIKELY else _values(_bounded(inner, path, most))] * count)
        for path, inner in properties(spec_schema(plural))
    }
    drawn: list[Mapping[Property, tuple[Any, ...]]] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=3, database=None, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(st.fixed_dictionaries(strategies))
    def draw(values: Mapping[Property, tuple[Any, ...]]) -> None:
        drawn.append(values)

    with warnings.catch_warnings():
        # The schema's patterns are RE2; hypothesis says that it reads them as Python's.
        warnings.simplefilter("ignore")
        draw()
    # The first example is the smallest one and the same for every seed.
    return [Change(path, values) for path, values in drawn[-1].items()]


def patch(path: Property, value: Any) -> Json:
    """The merge patch of a spec that sets one property; None takes it away."""
    return reduce(lambda inner, name: {name: inner}, reversed(path), value)


def _bounded(schema: Json, path: Property, most: Mapping[Property, int]) -> Json:
    """The schema with the upper bounds of what would cost the machine much, also within it."""
    limit = {"maximum": most[path]} if path in most else {}
    inner = {name: _bounded(each, (*path, name), most) for name, each in schema.get("properties", {}).items()}
    return {**schema, **limit, **({"properties": inner} if inner else {})}


def _values(schema: Json) -> st.SearchStrategy[Any]:
    """Values of a schema. Objects are put together here: hypothesis-jsonschema cannot with a current hypothesis."""
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 64) | st.text(max_size=8)
    if "properties" in schema:
        inner = {name: _values(each) for name, each in schema["properties"].items()}
        required = {name: inner.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(required, optional=inner)
    if isinstance(schema.get("additionalProperties"), dict):
        most = min(schema.get("maxProperties", 4), 4)
        return st.dictionaries(st.text(max_size=16), _values(schema["additionalProperties"]), max_size=most)
    if schema.get("type") == "object":
        # Of an object that Kubernetes itself defines the schema says no more than that it is one.
        return st.dictionaries(st.text(max_size=8), st.booleans() | st.text(max_size=8), max_size=2)
    if schema.get("type") == "array":
        least, most = schema.get("minItems", 0), min(schema.get("maxItems", 4), 4)
        return st.lists(_values(schema["items"]), min_size=least, max_size=most)
    return from_schema(_plain(schema))


def _plain(schema: Json) -> Json:
    """A scalar's schema as JSON Schema: without what only Kubernetes knows, and of a size that costs no time."""
    plain = {key: value for key, value in schema.items() if key in _SCALAR}
    if "maxLength" in plain:
        plain["maxLength"] = max(min(plain["maxLength"], _LONGEST), plain.get("minLength", 0))
    for limit, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if plain.pop(excluded, False):
            # A CRD has this as OpenAPI 3.0 does, a flag beside the limit.
            plain[excluded] = plain.pop(limit)
    return plain
