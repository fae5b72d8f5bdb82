"""The generated CRDs: structural, described, without what Kubernetes does not take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from videofleet_api.crd import KINDS, Kind, crd
from videofleet_api.generate import main

Schema = dict[str, Any]


def walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema inside a schema, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from walk(schema[key], f"{path}[]")


def root(kind: Kind) -> Schema:
    schema: Schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_schema_is_structural(kind: Kind) -> None:
    for path, schema in walk(root(kind), kind.kind):
        number_or_text = schema.get("x-kubernetes-int-or-string")
        assert number_or_text or isinstance(schema.get("type"), str), f"{path} has no single type"
        assert not schema.keys() & {"$ref", "anyOf", "allOf", "oneOf", "title", "const", "$defs"}, path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_is_described(kind: Kind) -> None:
    for part in ("spec", "status"):
        for path, schema in walk(root(kind)["properties"][part], part):
            if not path.endswith("[]"):
                assert schema.get("description"), f"{kind.kind} {path}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_list_map_and_text_of_a_spec_is_bounded(kind: Kind) -> None:
    bounds = {"array": "maxItems", "string": "maxLength"}
    for path, schema in walk(root(kind)["properties"]["spec"], "spec"):
        bound = bounds.get(schema.get("type", "string"))
        if bound and "enum" not in schema and "pattern" not in schema:
            assert bound in schema, f"{kind.kind} {path}: the server's cost budget for rules needs {bound}"
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, f"{kind.kind} {path}"


def test_the_generator_writes_what_is_checked_in(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    checked_in = Path(__file__).parents[3] / "crds"
    for kind in KINDS:
        name = f"{kind.plural}.yaml"
        assert yaml.safe_load((tmp_path / name).read_text()) == yaml.safe_load((checked_in / name).read_text())


def test_the_generator_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
