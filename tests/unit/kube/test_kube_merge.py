"""Patches that turn what is into what should be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.kube.fakeapi import FakeApi
from videofleet_kube import CONFIGMAPS, ApiSession
from videofleet_kube.merge import append_operations, apply_merge, json_patch, merge_diff, same, without_nulls

Json = dict[str, Any]

keys = st.sampled_from(["a", "b", "c/d", "e~f", ""])
scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.5]), st.text(max_size=2))
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3))
)
documents = st.dictionaries(keys, values, max_size=4)
with_nulls = st.dictionaries(
    keys,
    st.recursive(st.one_of(st.none(), scalars), lambda inner: st.dictionaries(keys, inner, max_size=3)),
    max_size=4,
)


@settings(deadline=None)
@given(documents, documents)
def test_applying_the_difference_gives_the_desired(current: Json, desired: Json) -> None:
    patch = merge_diff(current, desired)
    assert same(apply_merge(current, patch or {}), desired)
    assert (patch is None) is same(current, desired)


@settings(deadline=None)
@given(with_nulls, with_nulls)
def test_null_in_the_desired_means_absent(current: Json, desired: Json) -> None:
    result = apply_merge(current, merge_diff(current, desired) or {})
    assert same(without_nulls(result), without_nulls(desired))


@settings(deadline=None)
@given(documents, documents)
def test_a_difference_never_grows_by_what_is_equal(current: Json, desired: Json) -> None:
    patch = merge_diff(current, desired) or {}
    assert not [key for key in patch if key in current and key in desired and same(current[key], desired[key])]


@settings(deadline=None)
@given(documents, documents)
def test_the_arguments_are_left_alone(current: Json, desired: Json) -> None:
    before = (repr(current), repr(desired))
    apply_merge(current, merge_diff(current, desired) or {})
    assert (repr(current), repr(desired)) == before


@pytest.mark.parametrize(
    ("current", "desired", "patch"),
    [
        pytest.param({"a": 1}, {"a": 1}, None, id="equal"),
        pytest.param({"a": 1}, {}, {"a": None}, id="removal is an explicit null"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}, id="nested removal"),
        pytest.param({"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 3]}, id="a list is replaced whole"),
        pytest.param({"a": 1}, {"a": True}, {"a": True}, id="true is not 1"),
        pytest.param({"a": 1}, {"a": {}}, {"a": {}}, id="number to object"),
        pytest.param({}, {"a": {}}, {"a": {}}, id="an empty object is something"),
        pytest.param({}, {"a": None}, None, id="null is nothing"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": None}}, {"a": {"b": None}}, id="null removes"),
        pytest.param({}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}, id="new objects carry no null"),
    ],
)
def test_differences(current: Json, desired: Json, patch: Json | None) -> None:
    assert merge_diff(current, desired) == patch


@settings(deadline=None)
@given(st.dictionaries(keys, values, max_size=3), st.dictionaries(keys, values, max_size=3))
def test_a_json_patch_does_what_the_merge_patch_does(current: Json, desired: Json) -> None:
    patch = merge_diff(current, desired) or {}
    assert same(_apply_json(current, json_patch(current, patch, "u")[1:]), apply_merge(current, patch))


def _apply_json(document: Json, operations: list[Json]) -> Json:
    """The three operations of RFC 6902 that are used, by the letter."""
    result: Json = apply_merge({}, without_nulls(document))
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        target = result
        for parent in parents:
            target[parent] = dict(target[parent])
            target = target[parent]
        if operation["op"] == "remove":
            del target[last]
        else:
            target[last] = operation["value"]
    return result


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=12), st.integers(1, 8))
def test_a_list_that_is_added_to_keeps_its_last_elements(known: list[int], keep: int) -> None:
    result = list(known)
    for operation in append_operations(("status", "a/b"), {"n": 1}, len(known), keep):
        if operation["op"] == "remove":
            assert operation["path"] == "/status/a~1b/0"
            result.pop(0)
        else:
            assert (operation["op"], operation["path"]) == ("add", "/status/a~1b/-")
            result.append(operation["value"])
    assert result == [*known, {"n": 1}][-keep:]


async def test_a_json_patch_tests_the_incarnation(api: FakeApi, session: ApiSession) -> None:
    obj = api.put("api/v1/configmaps", "a", "one", data={"k": "1"})
    body = json_patch(obj, {"data": {"k": "2"}}, obj["metadata"]["uid"])
    assert body[0] == {"op": "test", "path": "/metadata/uid", "value": obj["metadata"]["uid"]}
    changed = await session.patch(CONFIGMAPS, "a", "one", body)
    assert changed["data"] == {"k": "2"}
