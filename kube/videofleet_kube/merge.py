"""Differences between JSON documents as patches. Pure.

A merge patch (RFC 7396) cannot store null: in a desired document null means that the key is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .resources import Json


def merge_diff(current: Json, desired: Json) -> Json | None:
    """The merge patch that turns `current` into `desired`, None when there is nothing to change."""
    patch: Json = {key: None for key in current if desired.get(key) is None}
    for key, value in desired.items():
        if value is None:
            continue
        known = current.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            inner = merge_diff(known, value)
            if inner is not None:
                patch[key] = inner
        elif key not in current or not same(known, value):
            patch[key] = without_nulls(value)
    return patch or None


def apply_merge(current: Json, patch: Json) -> Json:
    """`current` with a merge patch applied; neither argument is altered."""
    result = dict(current)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            known = result.get(key)
            result[key] = apply_merge(known if isinstance(known, dict) else {}, value)
        else:
            result[key] = value
    return result


def without_nulls(value: Any) -> Any:
    """The value as a merge patch can store it: no keys that are null, at any depth of objects (not in lists)."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; unlike in Python, true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def json_patch(current: Json, patch: Json, uid: str, version: str | None = None) -> list[Json]:
    """A merge patch as a JSON patch (RFC 6902) that applies to the incarnation `uid` alone, and to a version if given.

    The status subresource of custom resources takes the metadata from the stored object and so ignores a uid in a
    merge patch; a failed `test` it does not ignore.
    """
    tests: list[Json] = [{"op": "test", "path": "/metadata/uid", "value": uid}]
    if version is not None:
        tests.append({"op": "test", "path": "/metadata/resourceVersion", "value": version})
    return [*tests, *_operations(current, patch, "")]


def append_operations(path: Sequence[str], value: Json, length: int, keep: int) -> list[Json]:
    """Put `value` behind the `length` elements of the list at `path`, which then keeps its last `keep`."""
    pointer = "".join(f"/{_escaped(key)}" for key in path)
    surplus = max(0, length + 1 - keep)
    removals: list[Json] = [{"op": "remove", "path": f"{pointer}/0"} for _ in range(surplus)]
    return [*removals, {"op": "add", "path": f"{pointer}/-", "value": value}]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _operations(current: Json, patch: Json, prefix: str) -> list[Json]:
    operations: list[Json] = []
    for key, value in patch.items():
        path = f"{prefix}/{_escaped(key)}"
        known = current.get(key)
        if value is None:
            operations += [{"op": "remove", "path": path}] if key in current else []
        elif isinstance(value, dict) and isinstance(known, dict):
            operations += _operations(known, value, path)
        else:
            operations.append({"op": "add", "path": path, "value": value})
    return operations
