"""A cache of projected objects keyed by uid. Pure: events and lists in, changes out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from .resources import Json, is_older, name_of, namespace_of, uid_of, version_of

T = TypeVar("T")

MAX_TOMBSTONES = 16384
_NEWER_THAN_ALL = str(2**64)
"""Versions have 64 bits."""


class ChangeType(StrEnum):
    """How the cache changed."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One object as cached; `value` is its projection, None for one that the projection leaves out."""

    uid: str
    namespace: str
    name: str
    version: str
    value: T | None

    @classmethod
    def of(cls, obj: Json, value: T | None) -> Entry[T]:
        """The entry of a parsed object."""
        return cls(uid_of(obj), namespace_of(obj), name_of(obj), version_of(obj), value)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One change of the cache; `old` is None when added, `new` when deleted."""

    type: ChangeType
    uid: str
    namespace: str
    name: str
    old: T | None
    new: T | None


class ObjectCache(Generic[T]):
    """What is known to exist. Every method that alters it returns the changes, in an order that holds at each step.

    Removed uids are remembered with their version, so that a late answer to a write never revives them.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry[T]] = {}
        self._uids: dict[str, dict[str, str]] = {}
        """By namespace and name."""
        self._tombstones: OrderedDict[str, str] = OrderedDict()
        self.stale = 0
        """Events ignored because something as new was known."""
        self.synthesized = 0
        """Deletions that no event told of, found by the difference to a list."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, uid: object) -> bool:
        return uid in self._entries

    def get(self, uid: str) -> T | None:
        """The projection of the object with this uid."""
        entry = self._entries.get(uid)
        return None if entry is None else entry.value

    def entry(self, uid: str) -> Entry[T] | None:
        """The whole entry of this uid: name, version and projection."""
        return self._entries.get(uid)

    def by_name(self, namespace: str, name: str) -> T | None:
        """The projection of the object of this name; the namespace of cluster-scoped objects is empty."""
        uid = self._uid_of(namespace, name)
        return None if uid is None else self.get(uid)

    def entries(self) -> Iterator[Entry[T]]:
        """All entries, in the order of their arrival."""
        return iter(self._entries.values())

    def values(self) -> list[T]:
        """All projections, a copy that later changes do not touch."""
        return [entry.value for entry in self._entries.values() if entry.value is not None]

    def apply(self, entry: Entry[T]) -> list[Change[T]]:
        """Take in an object as it was at `entry.version`; what is not newer than the known is ignored."""
        if self._is_stale(entry):
            self.stale += 1
            return []
        return self._take(entry)

    def delete(self, entry: Entry[T]) -> list[Change[T]]:
        """Take in a deletion; one older than the known object is ignored."""
        known = self._entries.get(entry.uid)
        if known is not None and is_older(entry.version, known.version):
            self.stale += 1
            return []
        return self._remove(entry.uid, entry.version)

    def bury(self, uid: str) -> list[Change[T]]:
        """Take in that this object is gone for good: no event revives it, however late it comes."""
        return self._remove(uid, _NEWER_THAN_ALL)

    def replace(
        self, scope: str | None, listed: Iterable[Entry[T]], version: str, *, rewound: bool = False
    ) -> list[Change[T]]:
        """Take in a complete list of a namespace (None: of all) at this version.

        Deletions come first, they free what additions may need. An object known from a write newer than the
        list is kept although the list lacks it. `rewound`: the server itself went back (a restored backup), so
        that no known version means anything any more.
        """
        if rewound:
            self._forget_versions()
        fresh = {entry.uid: entry for entry in listed}
        changes: list[Change[T]] = []
        for entry in self._missing(scope, fresh, version):
            changes += self._remove(entry.uid, version)
        self.synthesized += len(changes)
        for entry in fresh.values():
            if not self._is_stale(entry):
                changes += self._take(entry)
        return changes

    def _missing(self, scope: str | None, fresh: dict[str, Entry[T]], version: str) -> list[Entry[T]]:
        return [
            entry
            for entry in self._entries.values()
            if entry.uid not in fresh
            and (scope is None or entry.namespace == scope)
            and not is_older(version, entry.version)
        ]

    def _forget_versions(self) -> None:
        self._tombstones.clear()
        self._entries = {uid: replace(entry, version="") for uid, entry in self._entries.items()}

    def _take(self, entry: Entry[T]) -> list[Change[T]]:
        if entry.value is None:
            return self._remove(entry.uid, entry.version)
        changes = self._displace_namesake(entry)
        old = self._entries.get(entry.uid)
        self._entries[entry.uid] = entry
        self._uids.setdefault(entry.namespace, {})[entry.name] = entry.uid
        self._tombstones.pop(entry.uid, None)
        kind = ChangeType.ADDED if old is None else ChangeType.MODIFIED
        changes.append(_change(kind, entry, old.value if old else None, entry.value))
        return changes

    def _is_stale(self, entry: Entry[T]) -> bool:
        known = self._entries.get(entry.uid)
        if known is not None:
            return entry.version == known.version or is_older(entry.version, known.version)
        buried = self._tombstones.get(entry.uid)
        if buried is not None:
            return entry.version == buried or is_older(entry.version, buried)
        return self._namesake_is_newer(entry)

    def _uid_of(self, namespace: str, name: str) -> str | None:
        return self._uids.get(namespace, {}).get(name)

    def _namesake_is_newer(self, entry: Entry[T]) -> bool:
        namesake = self._entries.get(self._uid_of(entry.namespace, entry.name) or "")
        return namesake is not None and is_older(entry.version, namesake.version)

    def _displace_namesake(self, entry: Entry[T]) -> list[Change[T]]:
        uid = self._uid_of(entry.namespace, entry.name)
        return [] if uid is None or uid == entry.uid else self._remove(uid, entry.version)

    def _remove(self, uid: str, version: str) -> list[Change[T]]:
        self._tombstones[uid] = version
        self._tombstones.move_to_end(uid)
        if len(self._tombstones) > MAX_TOMBSTONES:
            self._tombstones.popitem(last=False)
        entry = self._entries.pop(uid, None)
        if entry is None:
            return []
        names = self._uids[entry.namespace]
        del names[entry.name]
        if not names:
            del self._uids[entry.namespace]
        return [_change(ChangeType.DELETED, entry, entry.value, None)]


def _change(kind: ChangeType, entry: Entry[T], old: T | None, new: T | None) -> Change[T]:
    return Change(kind, entry.uid, entry.namespace, entry.name, old, new)
